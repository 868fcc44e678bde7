/* m * 2**e, exact, to be added. |m| < 2**42. */
static real exact(int64_t m, int32_t e)
{
    real r;
    r.m = m;
    r.e = e;
    return r;
}

/* a + b with one rounding. */
static real sum_of(real a, real b)
{
    int32_t apart, room;
    int64_t low;
    int more = 0;
    if (a.m == 0)
        return rounded(b.m, b.e, 0);
    if (b.m == 0)
        return rounded(a.m, a.e, 0);
    if (a.e < b.e) {
        const real c = a;
        a = b;
        b = c;
    }
    apart = a.e - b.e;
    room = smaller(apart, 61 - bits_of((uint64_t)(a.m < 0 ? -a.m : a.m)));
    a.m *= (int64_t)1 << room;
    apart -= room;
    low = b.m;
    if (apart > 62) {
        low = b.m < 0 ? -1 : 0;
        more = 1;
    } else if (apart > 0) { /* b / 2**apart, rounded down; what that loses is between 0 and 1 */
        const int64_t unit = (int64_t)1 << apart;
        low = b.m / unit;
        more = low * unit != b.m;
        low -= more && b.m < 0;
    }
    return rounded(a.m + low, b.e + apart, more);
}
