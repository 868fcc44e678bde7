/* What the taps meet, scaled channel by channel. */
static int8_t window[WINDOW];

static void scale_taps(const layer *l)
{
    int32_t n, c;
    for (n = 0; n < l->kernel_h * l->kernel_w; ++n) {
        int8_t *scaled = window + n * l->x_channels;
        if (taps[n] == 0)
            continue;
        for (c = 0; c < l->x_channels; ++c)
            scaled[c] = (int8_t)l->scale(l, taps[n][c], c);
        taps[n] = scaled;
    }
}
