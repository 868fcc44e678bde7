/* (a - zero) * (b - zero) * factor, rounded, + zero, rounded, to the nearest integer. */
static int32_t product_of(int32_t a, int32_t b, const int8_t *factor, const int8_t *zeros)
{
    const real f = real_at(factor);
    const real product = rounded((a - zeros[0]) * (b - zeros[1]) * f.m, f.e, 0);
    return clamped(nearest(sum_of(product, exact(zeros[2], 0))));
}
