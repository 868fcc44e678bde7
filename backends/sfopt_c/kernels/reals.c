/* float32 arithmetic in integers: no compiler flag and no mathematics library has a say in how a result is rounded.
 * The value is m * 2**e; |m| is at most 2**24. */
typedef struct {
    int64_t m;
    int32_t e;
} real;

static int32_t bits_of(uint64_t a)
{
    int32_t n = 0;
    if (a >> 32) { n += 32; a >>= 32; }
    if (a >> 16) { n += 16; a >>= 16; }
    if (a >> 8) { n += 8; a >>= 8; }
    if (a >> 4) { n += 4; a >>= 4; }
    if (a >> 2) { n += 2; a >>= 2; }
    return n + (int32_t)(a < 2 ? a : 2);
}

/* a / 2**cut, half to even; `more`: what is cut off has a part below its last bit. 0 < cut. */
static uint64_t half_to_even(uint64_t a, int32_t cut, int more)
{
    uint64_t kept, rest, half;
    if (cut > 62)
        return 0;
    kept = a >> cut;
    rest = a - (kept << cut);
    half = (uint64_t)1 << (cut - 1);
    return kept + (rest > half || (rest == half && (more || (kept & 1))));
}

/* m * 2**e to 24 bits, half to even, and to no less than float32's smallest step, 2**-149; `more` adds a part of 1 to m. */
static real rounded(int64_t m, int32_t e, int more)
{
    const int negative = m < 0;
    uint64_t a = negative ? 0 - (uint64_t)m - (uint64_t)more : (uint64_t)m;
    int32_t cut = bits_of(a) - 24;
    real r;
    if (cut < -149 - e)
        cut = -149 - e;
    if (cut > 0) {
        a = half_to_even(a, cut, more);
        e += cut;
    }
    r.m = negative ? -(int64_t)a : (int64_t)a;
    r.e = e;
    return r;
}

/* To the nearest integer, half to even, where that is small enough for an int8; some larger one of its sign where it is not. */
static int32_t nearest(real r)
{
    const int negative = r.m < 0;
    uint64_t a = (uint64_t)(negative ? -r.m : r.m);
    if (r.e < 0)
        a = half_to_even(a, -r.e, 0);
    else if (a)
        a = r.e > 30 || a > ((uint64_t)1 << 30) >> r.e ? (uint64_t)1 << 30 : a << r.e;
    return negative ? -(int32_t)a : (int32_t)a;
}

static int32_t clamped(int32_t v)
{
    return v < -128 ? -128 : v > 127 ? 127 : v;
}

/* Constants lie in the arena byte by byte, little-endian. */
static uint32_t word_at(const int8_t *p)
{
    return (uint32_t)(uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16 | (uint32_t)(uint8_t)p[3] << 24;
}

/* A float32 of the constants. */
static real real_at(const int8_t *p)
{
    const uint32_t a = word_at(p), exponent = a >> 23 & 255;
    real r;
    r.m = (int64_t)(a & 0x7FFFFF) + (exponent ? 0x800000 : 0);
    r.e = (exponent ? (int32_t)exponent : 1) - 150;
    if (a >> 31)
        r.m = -r.m;
    return r;
}
