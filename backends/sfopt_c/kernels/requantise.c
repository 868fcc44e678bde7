static int32_t signed_of(uint32_t a)
{
    return a < UINT32_C(0x80000000) ? (int32_t)a : -(int32_t)~a - 1;
}

/* An accumulator to float32, times the factor, to the nearest integer, plus the zero point: three roundings. */
static int32_t requantised(uint32_t acc, real factor, int32_t zero)
{
    const real sum = rounded(signed_of(acc), 0, 0);
    return clamped(nearest(rounded(sum.m * factor.m, sum.e + factor.e, 0)) + zero);
}
