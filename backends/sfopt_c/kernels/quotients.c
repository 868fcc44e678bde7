/* a / b with one rounding. b is not 0. */
static real quotient_of(real a, real b)
{
    const int negative = (a.m < 0) != (b.m < 0);
    uint64_t up = (uint64_t)(a.m < 0 ? -a.m : a.m), down = (uint64_t)(b.m < 0 ? -b.m : b.m), whole;
    const int32_t room = 62 - bits_of(up);
    int more;
    if (up == 0)
        return exact(0, 0);
    up <<= room;
    whole = up / down;
    more = whole * down != up;
    return rounded(negative ? -(int64_t)whole - more : (int64_t)whole, a.e - room - b.e, more);
}
