"""Writes golden.txt: a frame and its line bytes, computed from the definitions.

The parity solves the sixteen equations word(alpha^i) = 0; the noise is the
shift register of CCSDS 131.0-B, 10.4.2, bit by bit. Run it in this folder.
"""


def mul(a, b):
    p = 0
    while b:
        if b & 1:
            p ^= a
        a, b = a << 1, b >> 1
        if a & 0x100:
            a ^= 0x11D
    return p


def power(a, n):
    p = 1
    for _ in range(n):
        p = mul(p, a)
    return p


def parity(data):
    n = len(data) + 16
    rows = []
    for i in range(16):
        root, value = power(2, i), 0
        for d in data:
            value = mul(value, root) ^ d
        row = [power(root, 15 - j) for j in range(16)]
        rows.append(row + [mul(value, power(root, 16))])
    for c in range(16):
        pivot = next(r for r in range(c, 16) if rows[r][c])
        rows[c], rows[pivot] = rows[pivot], rows[c]
        inverse = power(rows[c][c], 254)
        rows[c] = [mul(v, inverse) for v in rows[c]]
        for r in range(16):
            if r != c and rows[r][c]:
                f = rows[r][c]
                rows[r] = [v ^ mul(f, w) for v, w in zip(rows[r], rows[c])]
    assert n <= 255
    return bytes(row[16] for row in rows)


def noise(n):
    x = [1] * 8
    for _ in range(n):
        byte = 0
        for _ in range(8):
            byte = byte << 1 | x[0]
            x = x[1:] + [x[0] ^ x[3] ^ x[5] ^ x[7]]
        yield byte


with open("golden.txt", "w") as out:
    for size, marker in ((239, "1acffc1d"), (112, "352ef853")):
        frame = bytes((7 * i + size) & 0xFF for i in range(size))
        word = frame + parity(frame)
        line = bytes(a ^ b for a, b in zip(word, noise(len(word))))
        out.write(frame.hex() + " " + marker + line.hex() + "\n")
