/* a * a_ratio + (b * b_ratio + offset), each sum of a product rounded once. */
static int32_t add(const layer *l, int32_t v, int32_t other)
{
    const int8_t *record = arena + l->binary_record;
    const int32_t a = l->swapped ? other : v, b = l->swapped ? v : other;
    const real a_ratio = real_at(record), b_ratio = real_at(record + 4), offset = real_at(record + 8);
    const real inner = sum_of(exact(b * b_ratio.m, b_ratio.e), offset);
    return clamped(nearest(sum_of(exact(a * a_ratio.m, a_ratio.e), inner)));
}
