static int32_t multiply(const layer *l, int32_t v, int32_t other)
{
    const int8_t *record = arena + l->binary_record;
    return product_of(l->swapped ? other : v, l->swapped ? v : other, record, record + 12);
}
