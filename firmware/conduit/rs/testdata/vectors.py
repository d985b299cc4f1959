"""Write golden.txt from the code's definition alone: parity is the solution of
the 16 linear equations word(alpha^i) = 0, by Gauss over bitwise products."""
import random

def mul(a, b):
    r = 0
    while b:
        if b & 1: r ^= a
        a <<= 1
        if a & 256: a ^= 0x11D
        b >>= 1
    return r

def power(a, k):
    r = 1
    for _ in range(k): r = mul(r, a)
    return r

def parity(data):
    n = len(data) + 16
    rows = []
    for i in range(16):
        root, right = power(2, i), 0
        for k, d in enumerate(data): right ^= mul(d, power(root, (n - 1 - k)))
        rows.append([power(root, 15 - j) for j in range(16)] + [right])
    for c in range(16):
        p = next(r for r in range(c, 16) if rows[r][c])
        rows[c], rows[p] = rows[p], rows[c]
        k = power(rows[c][c], 254)
        rows[c] = [mul(v, k) for v in rows[c]]
        for r in range(16):
            if r != c and rows[r][c]:
                k = rows[r][c]
                rows[r] = [v ^ mul(k, w) for v, w in zip(rows[r], rows[c])]
    return bytes(r[16] for r in rows)

random.seed(1)
with open("golden.txt", "w") as f:
    for n in (1, 2, 15, 16, 17, 112, 112, 238, 239, 239):
        d = random.randbytes(n)
        f.write(f"{d.hex()} {parity(d).hex()}\n")
