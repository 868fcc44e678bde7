static int32_t scale_channel(const layer *l, int32_t v, int32_t channel)
{
    const int8_t *record = arena + l->scale_record;
    return product_of(v, arena[l->scales + channel], record, record + 4);
}
