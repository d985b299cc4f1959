// historian.js: an IT client for the tests that reads history, on node-opcua.
//
//   node historian.js '{"url":"opc.tcp://…","reads":[{"kind":"raw","node":"ns=1;s=…","from":0,"to":1,"limit":10}]}'
//
// Times are milliseconds since 1970. It answers each read with its status, its values
// {"value","status","at"} or its events, and the sizes of the parts in which they came, as
// one JSON object.
"use strict";
const fs = require("fs"), os = require("os"), path = require("path");
const {
  OPCUAClient, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, AggregateFunction, HistoryReadRequest, ReadAtTimeDetails, ReadEventDetails,
  TimestampsToReturn, constructEventFilter, coerceNodeId,
} = require("node-opcua");

const o = JSON.parse(process.argv[2]);

const name = (status) => status.name.split("#")[0];
const shown = (v) => ({ value: v.value && v.value.value !== undefined ? v.value.value : null, status: name(v.statusCode), bits: v.statusCode.value & 0xffff, at: v.sourceTimestamp ? v.sourceTimestamp.getTime() : null });

// all asks until no continuation point is left.
async function all(ask, list) {
  const out = { status: "", parts: [], got: [] };
  let continuationPoint;
  do {
    const result = await ask(continuationPoint);
    const got = list(result.historyData) || [];
    out.status = name(result.statusCode);
    out.parts.push(got.length);
    out.got.push(...got);
    continuationPoint = result.continuationPoint && result.continuationPoint.length > 0 ? result.continuationPoint : undefined;
  } while (continuationPoint);
  return out;
}

const values = (data) => data && data.dataValues && data.dataValues.map(shown);

const kinds = {
  raw: (session, r) => all((continuationPoint) => session.readHistoryValue({ nodeId: coerceNodeId(r.node), continuationPoint }, new Date(r.from), new Date(r.to),
    { numValuesPerNode: r.limit || 0, returnBounds: !!r.bounds }), values),
  attime: (session, r) => all((continuationPoint) => session.historyRead(new HistoryReadRequest({
    historyReadDetails: new ReadAtTimeDetails({ reqTimes: r.times.map((t) => new Date(t)), useSimpleBounds: !!r.simple }),
    nodesToRead: [{ nodeId: coerceNodeId(r.node), continuationPoint }], releaseContinuationPoints: false, timestampsToReturn: TimestampsToReturn.Both,
  })).then((a) => a.results[0]), values),
  aggregate: (session, r) => all(() => session.readAggregateValue({ nodeId: coerceNodeId(r.node) }, new Date(r.from), new Date(r.to), AggregateFunction[r.function], r.interval), values),
  events: (session, r) => all((continuationPoint) => session.historyRead(new HistoryReadRequest({
    historyReadDetails: new ReadEventDetails({ numValuesPerNode: r.limit || 0, startTime: new Date(r.from), endTime: new Date(r.to), filter: constructEventFilter(r.fields) }),
    nodesToRead: [{ nodeId: coerceNodeId(r.node), continuationPoint }], releaseContinuationPoints: false, timestampsToReturn: TimestampsToReturn.Both,
  })).then((a) => a.results[0]), (data) => data && data.events && data.events.map((e) => e.eventFields.map((f) => (f.value && f.value.text !== undefined ? f.value.text : f.value)))),
};

async function main() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "heliograph-historian-"));
  process.on("exit", () => fs.rmSync(scratch, { recursive: true, force: true }));
  const manager = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(scratch, "pki") });
  await manager.initialize();
  const client = OPCUAClient.create({
    applicationName: "historian", endpointMustExist: false, connectionStrategy: { maxRetry: 0 }, clientCertificateManager: manager,
    securityMode: MessageSecurityMode.None, securityPolicy: SecurityPolicy.None,
  });
  await client.connect(o.url);
  const session = await client.createSession();
  const results = [];
  for (const r of o.reads) results.push(await kinds[r.kind](session, r));
  await session.close();
  await client.disconnect();
  process.stdout.write(JSON.stringify({ results }) + "\n");
}
main().then(() => process.exit(0)).catch((e) => { process.stdout.write(JSON.stringify({ error: String(e && e.message) }) + "\n"); process.exit(1); });
