-- A Wireshark dissector for the frames of a Heliograph link, in UDP and behind
-- ethertype 0x88B5. README.md beside it says how to install it.
--
-- The format is drawn in firmware/conduit/wire/wire.go. What is sealed stays so:
-- `heliograph decode FILE --key pair.key` shows the records inside.

local proto = Proto("heliograph", "Heliograph link")
local ethernet = Proto("heliograph_eth", "Heliograph link over Ethernet")

-- What the format says, in bytes.
local ETHERTYPE = 0x88B5
local VERSION = 1
local TAG_SIZE, CRC_SIZE, LENGTH_SIZE = 16, 4, 2
local HELLO, SOURCE, PARITY, REPLAY_SOURCE, REPLAY_PARITY = 0, 1, 2, 3, 4
local HEADER_SIZE = 12
local HEADERS = { [HELLO] = 36, [SOURCE] = 12, [PARITY] = 12, [REPLAY_SOURCE] = 12, [REPLAY_PARITY] = 12 }
local SMALLEST = { [HELLO] = 56, [SOURCE] = 32, [PARITY] = 34, [REPLAY_SOURCE] = 32, [REPLAY_PARITY] = 34 }
local MAX_SOURCES = 128 * 64 -- of a generation

local kinds = {
  [HELLO] = "hello", [SOURCE] = "source", [PARITY] = "parity",
  [REPLAY_SOURCE] = "source, replay", [REPLAY_PARITY] = "parity, replay",
}
local LOW_LATENCY, BULK, REPLAY = 0, 1, 2
local classes = { [LOW_LATENCY] = "low-latency", [BULK] = "bulk", [REPLAY] = "replay" }
local BAD, GOOD, UNVERIFIED = 0, 1, 2
local statuses = { [BAD] = "Bad", [GOOD] = "Good", [UNVERIFIED] = "Unverified" }

local f = {
  length = ProtoField.uint16("heliograph.length", "Length", base.DEC, nil, nil, "Of the frame, over Ethernet"),
  padding = ProtoField.bytes("heliograph.padding", "Padding", base.NONE, "After the frame, over Ethernet"),
  size = ProtoField.uint32("heliograph.size", "Frame size", base.DEC, nil, nil, "In bytes, with tag and CRC"),
  version = ProtoField.uint8("heliograph.version", "Version", base.DEC, nil, 0xF0),
  kind = ProtoField.uint8("heliograph.kind", "Kind", base.DEC, kinds, 0x0F),
  class = ProtoField.uint8("heliograph.class", "Class", base.DEC, classes),
  lanes = ProtoField.uint8("heliograph.lanes", "Lanes", base.DEC, nil, nil, "Of the generation, from a parity frame"),
  session = ProtoField.uint16("heliograph.session", "Session", base.HEX, nil, nil, "Names pair key and session"),
  sequence = ProtoField.uint64("heliograph.sequence", "Sequence", base.DEC, nil, nil,
    "Frame of the session; the low 32 bits, but in a hello"),
  generation = ProtoField.uint16("heliograph.generation", "Generation", base.DEC),
  sources = ProtoField.uint16("heliograph.generation.sources", "Sources seen", base.DEC, nil, nil,
    "Highest index in the generation, plus one, as far as the capture shows; needs a second pass"),
  index = ProtoField.uint16("heliograph.index", "Index", base.DEC, nil, nil, "Of a source frame in its generation"),
  row = ProtoField.uint16("heliograph.row", "Row", base.DEC, nil, nil, "Of a parity frame in its lane"),
  lane = ProtoField.uint8("heliograph.lane", "Lane", base.DEC, nil, nil, "That a parity frame protects"),
  epoch = ProtoField.uint64("heliograph.epoch", "Epoch", base.DEC, nil, nil, "Run of the transmitter"),
  salt = ProtoField.bytes("heliograph.salt", "Salt"),
  sealed = ProtoField.bytes("heliograph.sealed", "Sealed"),
  sealed_length = ProtoField.uint32("heliograph.sealed.length", "Sealed length", base.DEC),
  tag = ProtoField.bytes("heliograph.tag", "Tag", base.NONE, "Of ChaCha20-Poly1305; checked by heliograph decode"),
  crc = ProtoField.uint32("heliograph.crc", "CRC-32C", base.HEX),
  crc_status = ProtoField.uint8("heliograph.crc.status", "CRC status", base.DEC, statuses),
}
proto.fields = f

local e = {
  crc = ProtoExpert.new("heliograph.crc.bad", "Wrong CRC", expert.group.CHECKSUM, expert.severity.ERROR),
  truncated = ProtoExpert.new("heliograph.truncated", "Truncated frame", expert.group.MALFORMED,
    expert.severity.ERROR),
  cut = ProtoExpert.new("heliograph.cut", "Frame cut by the capture", expert.group.UNDECODED, expert.severity.WARN),
  noise = ProtoExpert.new("heliograph.noise", "Not a frame of this version", expert.group.PROTOCOL,
    expert.severity.WARN),
}
proto.experts = e

proto.prefs.port = Pref.uint("UDP port", 0,
  "The port of the link. With 0, frames are recognised by themselves on every port.")

-- CRC-32C, reflected (RFC 3720 §12.1). The library bit counts in signed 32 bits.
local band, bnot, bxor, rshift = bit.band, bit.bnot, bit.bxor, bit.rshift

-- castagnoli[j][i] is what byte i does when j bytes follow it.
local castagnoli = {}
for j = 0, 7 do castagnoli[j] = {} end
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    local low = band(c, 1)
    c = rshift(c, 1)
    if low == 1 then c = bxor(c, 0x82F63B78) end
  end
  castagnoli[0][i] = c
end
for j = 1, 7 do
  for i = 0, 255 do
    local c = castagnoli[j - 1][i]
    castagnoli[j][i] = bxor(castagnoli[0][band(c, 255)], rshift(c, 8))
  end
end

local function update(state, byte)
  return bxor(castagnoli[0][band(bxor(state, byte), 255)], rshift(state, 8))
end

-- stored returns the CRC that follows the first n bytes.
local function stored(raw, n)
  local a, b, c, d = raw:byte(n + 1, n + CRC_SIZE)
  return bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
end

-- computed returns the CRC of the first n bytes. It takes eight at a time, as calls
-- are what costs time.
local function computed(raw, n)
  local t0, t1, t2, t3 = castagnoli[0], castagnoli[1], castagnoli[2], castagnoli[3]
  local t4, t5, t6, t7 = castagnoli[4], castagnoli[5], castagnoli[6], castagnoli[7]
  local state, i = -1, 1
  while i + 7 <= n do
    local a, b, c, d, e, f, g, h = raw:byte(i, i + 7)
    local x = bxor(state, a + b * 0x100 + c * 0x10000 + d * 0x1000000)
    state = bxor(t7[band(x, 255)], t6[band(rshift(x, 8), 255)], t5[band(rshift(x, 16), 255)], t4[rshift(x, 24)],
      t3[e], t2[f], t1[g], t0[h])
    i = i + 8
  end
  for k = i, n do state = update(state, raw:byte(k)) end
  return bnot(state)
end

-- crc_status returns whether the CRC is right and, unless it is unknown, what is right.
-- known says that it was found right before.
local function crc_status(raw, cut, known)
  if cut then return UNVERIFIED end
  if #raw < CRC_SIZE then return BAD end
  local n = #raw - CRC_SIZE
  if known then return GOOD, stored(raw, n) end
  local right = computed(raw, n)
  return right == stored(raw, n) and GOOD or BAD, right
end

-- frame_size returns the size of the frames in a packet, and whether it is known. A
-- capture on the machine that sends shows the datagrams of one call as a single packet
-- (UDP_SEGMENT, udp(7)): frames of one size, but for the last. The first ends where
-- its CRC is right.
local function frame_size(raw)
  if crc_status(raw) == GOOD then return #raw, true end
  local state = -1
  for n = 0, #raw - CRC_SIZE do
    if n >= HEADER_SIZE and bit.bnot(state) == stored(raw, n) then return n + CRC_SIZE, true end
    state = update(state, raw:byte(n + 1))
  end
  return #raw, false
end

-- kind_of returns the kind of a frame, or nil and what is wrong with it.
local function kind_of(raw, smallest)
  local first = raw:byte(1) or 0
  local kind = bit.band(first, 15)
  if #raw > 0 and (bit.rshift(first, 4) ~= VERSION or not SMALLEST[kind]) then return nil, e.noise end
  if #raw < smallest[kind] then return nil, e.truncated end
  return kind
end

-- What the capture shows of each generation: how many sources, as far as is known.
-- A generation's number is widened from 16 bits, as it comes again in a long capture.
local highest = {} -- by session and class: the highest widened number
local counts = {}  -- by session, class and widened number
local places = {}  -- by packet and offset: the key into counts

function proto.init()
  highest, counts, places = {}, {}, {}
end

-- learn notes a data frame at the first pass. index is nil for parity.
local function learn(place, session, class, generation, index)
  local stream = session .. "/" .. class
  local wide = highest[stream] or generation
  local step = (generation - wide) % 65536
  if step >= 32768 then step = step - 65536 end
  wide = wide + step
  highest[stream] = math.max(highest[stream] or wide, wide)
  local key = stream .. "/" .. wide
  places[place] = key
  if index and index < MAX_SOURCES then counts[key] = math.max(counts[key] or 0, index + 1) end
end

local function add_hello(item, tvb, at)
  item:add(f.session, tvb(at + 2, 2))
  item:add(f.epoch, tvb(at + 4, 8))
  item:add(f.sequence, tvb(at + 12, 8))
  item:add(f.salt, tvb(at + 20, 16))
  return string.format("hello %s, session %04x, epoch %s", tostring(tvb(at + 12, 8):uint64()),
    tvb(at + 2, 2):uint(), tostring(tvb(at + 4, 8):uint64()))
end

-- add_data shows the header of a data frame. trusted says that its CRC is right.
local function add_data(item, tvb, at, kind, trusted, pinfo)
  local replay = kind == REPLAY_SOURCE or kind == REPLAY_PARITY
  local source = kind == SOURCE or kind == REPLAY_SOURCE
  local second = tvb(at + 1, 1):uint()
  local class = replay and REPLAY or (second >= 128 and BULK or LOW_LATENCY)
  local session, sequence = tvb(at + 2, 2):uint(), tvb(at + 4, 4):uint()
  local generation, index = tvb(at + 8, 2):uint(), tvb(at + 10, 2):uint()
  local place = pinfo.number .. "/" .. at
  if trusted and not pinfo.visited then
    learn(place, session, class, generation, source and index or nil)
  end
  item:add(f.class, tvb(at, 2), class)
  local lanes = bit.band(second, 127) + 1
  if not source then item:add(f.lanes, tvb(at + 1, 1), lanes) end
  item:add(f.session, tvb(at + 2, 2))
  item:add(f.sequence, tvb(at + 4, 4))
  item:add(f.generation, tvb(at + 8, 2))
  local count = pinfo.visited and counts[places[place]]
  if count then item:add(f.sources, count):set_generated() end
  local within
  if source then
    item:add(f.index, tvb(at + 10, 2))
    within = count and string.format("%d of %d", index + 1, count) or tostring(index + 1)
  else
    local lane = index % lanes
    local row = (index - lane) / lanes
    item:add(f.row, tvb(at + 10, 2), row)
    item:add(f.lane, tvb(at + 10, 2), lane)
    within = string.format("row %d, lane %d of %d", row, lane, lanes)
  end
  return string.format("%s %s%d in generation %d (%s)", classes[class], source and "" or "parity ",
    sequence, generation, within)
end

-- add_sealed shows what follows the header. Of a frame that is cut, all is sealed.
local function add_sealed(item, tvb, at, size, head, cut)
  local tail = cut and 0 or TAG_SIZE + CRC_SIZE
  local n = size - head - tail
  if n > 0 then item:add(f.sealed, tvb(at + head, n)) end
  item:add(f.sealed_length, n):set_generated()
  if not cut then item:add(f.tag, tvb(at + size - tail, TAG_SIZE)) end
end

local function add_crc(item, tvb, at, size, status, right)
  local field = item
  if right then field = item:add(f.crc, tvb(at + size - CRC_SIZE, CRC_SIZE)) end
  if status == BAD then
    field:add_proto_expert_info(e.crc, right and "Wrong CRC: 0x" .. bit.tohex(right) .. " would be right"
      or "Wrong CRC: too short to have one")
  end
  item:add(f.crc_status, status):set_generated()
end

-- dissect_frame shows the size bytes at at, and returns a text for the column. cut
-- says that the capture has less than the packet had, known that the CRC is right.
local function dissect_frame(tvb, at, size, cut, known, pinfo, tree)
  local range = tvb(at, size)
  local raw = size > 0 and tvb:raw(at, size) or ""
  local item = tree:add(proto, range)
  local status, right = crc_status(raw, cut, known)
  item:add(f.size, size):set_generated()
  if size > 0 then
    item:add(f.version, tvb(at, 1))
    item:add(f.kind, tvb(at, 1))
  end
  local kind, fault = kind_of(raw, cut and HEADERS or SMALLEST)
  local text
  if kind then
    text = kind == HELLO and add_hello(item, tvb, at) or add_data(item, tvb, at, kind, status == GOOD, pinfo)
    add_sealed(item, tvb, at, size, HEADERS[kind], cut)
  else
    text = fault == e.noise and "not a frame" or "truncated frame"
    item:add_proto_expert_info(fault)
  end
  add_crc(item, tvb, at, size, status, right)
  if status == BAD then text = text .. " [wrong CRC]" end
  if cut then
    item:add_proto_expert_info(e.cut)
    text = text .. " [cut]"
  end
  item:set_text("Heliograph " .. text)
  return text
end

-- dissect_packet shows all frames of the bytes at at, and returns how many there are.
local function dissect_packet(tvb, at, size, cut, pinfo, tree)
  local each, known = size, false
  if size > 0 and not cut then each, known = frame_size(tvb:raw(at, size)) end
  pinfo.cols.protocol = "Heliograph"
  local text, frames, done = nil, 0, 0
  repeat
    local n = math.min(each, size - done)
    local one = dissect_frame(tvb, at + done, n, cut, known and done == 0, pinfo, tree)
    text, frames, done = text or one, frames + 1, done + n
  until done >= size
  if frames > 1 then text = text .. ", and " .. frames - 1 .. " more" end
  pinfo.cols.info = text
end

function proto.dissector(tvb, pinfo, tree)
  dissect_packet(tvb, 0, tvb:len(), tvb:len() < tvb:reported_len(), pinfo, tree)
  return tvb:len()
end

function ethernet.dissector(tvb, pinfo, tree)
  local room = tvb:len() - LENGTH_SIZE
  local item = tree:add(ethernet, tvb(0, math.min(LENGTH_SIZE, tvb:len())))
  if room < 0 then
    pinfo.cols.protocol = "Heliograph"
    pinfo.cols.info = "truncated frame"
    item:add_proto_expert_info(e.truncated)
    return tvb:len()
  end
  local length = tvb(0, LENGTH_SIZE):uint()
  local field = item:add(f.length, tvb(0, LENGTH_SIZE))
  local size = math.min(length, room)
  if length > tvb:reported_len() - LENGTH_SIZE then
    field:add_proto_expert_info(e.truncated, "Truncated frame: its length is more than the packet has")
  end
  local cut = length > room and tvb:len() < tvb:reported_len()
  dissect_packet(tvb, LENGTH_SIZE, size, cut, pinfo, tree)
  if room > size then item:add(f.padding, tvb(LENGTH_SIZE + size)) end
  return tvb:len()
end

-- recognise takes datagrams on any port whose first frame has a right CRC. After
-- it, the conversation is the link's, and damaged frames are shown as such.
local function recognise(tvb, pinfo, tree)
  local n = tvb:len()
  if n < HEADER_SIZE or n < tvb:reported_len() or bit.rshift(tvb(0, 1):uint(), 4) ~= VERSION then return false end
  local raw = tvb:raw()
  if not kind_of(raw, SMALLEST) then return false end
  local size, right = frame_size(raw)
  if not right or not kind_of(raw:sub(1, size), SMALLEST) then return false end
  pinfo.conversation = proto
  proto.dissector(tvb, pinfo, tree)
  return true
end

local udp = DissectorTable.get("udp.port")
udp:add_for_decode_as(proto)
proto:register_heuristic("udp", recognise)
DissectorTable.get("ethertype"):add(ETHERTYPE, ethernet)

local port = 0
function proto.prefs_changed()
  if port ~= 0 then udp:remove(port, proto) end
  port = proto.prefs.port
  if port > 65535 then port = 0 end
  if port ~= 0 then udp:add(port, proto) end
end
