/*
 * The steps of models/nn/cells/ in float32: the same equations, on the same memory, for all steps in one call.
 *
 * There they are to be read; what is here is the order of the loops. A tile of up to TILE sequences walks through
 * all steps before the next tile begins, so that what it works on stays in the first-level cache:
 *
 *     x       (T, n_in, B)    inputs, whose elements are so many floats apart from step to step, feature to feature
 *                             and sequence to sequence
 *     z       (T + 1, K, B)   columns [h; x; 1], K = H + n_in + 1; hidden states are written to it, x for the tape only
 *     pages   (T + 1, P, B)   what the backward pass needs; without a tape a single page, for the LSTM's c alone
 *     stacked (K, M)          [U; W; b] side by side for each gate; stacked_t is its transpose, d_stacked its gradient
 *     d_x     (T, n_in, B)    gradient of the inputs; NULL where it is not wanted
 *
 * scratch has room for one tile and a cache line more, and belongs to the call: nothing is static here.
 */

#include <stdint.h>
#include <string.h>

#define TILE 16
#define INLINE static inline __attribute__((always_inline))

/* One function for each kind of processor, chosen when the library is loaded. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define ENTRY __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void
#else
#define ENTRY void
#endif

typedef float lanes __attribute__((vector_size(4 * TILE)));
typedef float loose_lanes __attribute__((vector_size(4 * TILE), aligned(4), may_alias)); /* anywhere in memory */

/* Raised when a signature below changes; models/nn/compiled.py loads no other. */
int interface_version(void) { return 3; }

/*
 * 1 / x for a normal x > 0, in a quarter of a division's time: turning the exponent's sign round gives it to 12 %, and
 * each of Newton's steps squares that error.
 */
INLINE float reciprocal(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = 0x7EF311C7u - bits;
    float y;
    memcpy(&y, &bits, 4);
    y = y * (2.0f - x * y);
    y = y * (2.0f - x * y);
    return y * (2.0f - x * y);
}

/*
 * tanh(a) = e / (e + 2) with e = exp(2a) - 1, and exp(y) - 1 = 2^n (exp(r) - 1) + 2^n - 1 with y = n ln 2 + r,
 * |r| <= ln(2) / 2, where seven terms of the series of exp are exact to float32. Beyond +-8.6 tanh is +-1 to float32, and
 * rounding errors here could take it past that.
 */
INLINE float tanh_(float a)
{
    a = a > 8.6f ? 8.6f : a;
    a = a < -8.6f ? -8.6f : a;
    float y = 2.0f * a;
    const float round_to_integer = 12582912.0f; /* 1.5 * 2^23: its last bit is worth 1 */
    float shifted = y * 1.44269504f + round_to_integer;
    float n = shifted - round_to_integer;
    float r = (y - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts */
    float p = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r * r + r;
    int exponent = ((int)n + 127) << 23;
    float power;
    memcpy(&power, &exponent, 4);
    float e = power * p + (power - 1.0f);
    return e * reciprocal(e + 2.0f);
}

INLINE float sigmoid_(float a) { return 0.5f * tanh_(0.5f * a) + 0.5f; }

/*
 * The equations of one step, element by element. What the names point to never overlaps ("restrict"), without which
 * compilers do not dare to use vector instructions.
 */

INLINE void tanh_all(float *a, int n)
{
    for (int j = 0; j < n; j++)
        a[j] = tanh_(a[j]);
}

INLINE void sigmoid_all(float *a, int n)
{
    for (int j = 0; j < n; j++)
        a[j] = sigmoid_(a[j]);
}

INLINE void rnn_equations_back(
    const float *restrict d, const float *restrict above, const float *restrict h, float *restrict d_a, int n)
{
    for (int j = 0; j < n; j++)
        d_a[j] = (d[j] + above[j]) * (1.0f - h[j] * h[j]);
}

INLINE void lstm_equations(
    const float *restrict i, const float *restrict f, const float *restrict o, const float *restrict g,
    float *restrict tanh_c, float *restrict c, float *restrict h, int n)
{
    for (int j = 0; j < n; j++) {
        c[j] = f[j] * c[j] + i[j] * g[j];
        tanh_c[j] = tanh_(c[j]);
        h[j] = o[j] * tanh_c[j];
    }
}

INLINE void lstm_equations_back(
    const float *restrict dh, float *restrict dc, const float *restrict above, const float *restrict i,
    const float *restrict f, const float *restrict o, const float *restrict g, const float *restrict tanh_c,
    const float *restrict c, float *restrict d_i, float *restrict d_f, float *restrict d_o, float *restrict d_g, int n)
{
    for (int j = 0; j < n; j++) {
        float d = dh[j] + above[j];
        float d_c = dc[j] + d * o[j] * (1.0f - tanh_c[j] * tanh_c[j]);
        d_i[j] = d_c * g[j] * (i[j] * (1.0f - i[j]));
        d_f[j] = d_c * c[j] * (f[j] * (1.0f - f[j]));
        d_o[j] = d * tanh_c[j] * (o[j] * (1.0f - o[j]));
        d_g[j] = d_c * i[j] * (1.0f - g[j] * g[j]);
        dc[j] = d_c * f[j];
    }
}

INLINE void gru_equations(
    const float *restrict r, const float *restrict z, float *restrict n, const float *restrict m, float *restrict h,
    int count)
{
    for (int j = 0; j < count; j++) {
        n[j] = tanh_(n[j] + r[j] * m[j]);
        h[j] = n[j] + z[j] * (h[j] - n[j]);
    }
}

INLINE void gru_equations_back(
    const float *restrict dh, const float *restrict above, const float *restrict h, const float *restrict r,
    const float *restrict z, const float *restrict n, const float *restrict m, float *restrict d_r,
    float *restrict d_z, float *restrict d_n, float *restrict d_m, float *restrict kept, int count)
{
    for (int j = 0; j < count; j++) {
        float d = dh[j] + above[j];
        d_n[j] = d * (1.0f - z[j]) * (1.0f - n[j] * n[j]);
        d_m[j] = d_n[j] * r[j];
        d_r[j] = d_n[j] * m[j] * (r[j] * (1.0f - r[j]));
        d_z[j] = d * (h[j] - n[j]) * (z[j] * (1.0f - z[j]));
        kept[j] = d * z[j];
    }
}

/* out (M, W) = A^T v, with A (K, M), whose rows are `stride` apart, and v (K, W). */
INLINE void product(
    const float *restrict A, int stride, const float *restrict v, float *restrict out, int K, int M, const int W)
{
    if (W == 1) {
        int m = 0;
        for (; m + 2 * TILE <= M; m += 2 * TILE) {
            loose_lanes s0 = {0}, s1 = {0};
            for (int k = 0; k < K; k++) {
                const float *a = A + k * stride + m;
                s0 += v[k] * *(const loose_lanes *)a;
                s1 += v[k] * *(const loose_lanes *)(a + TILE);
            }
            *(loose_lanes *)(out + m) = s0;
            *(loose_lanes *)(out + m + TILE) = s1;
        }
        for (; m < M; m++) {
            out[m] = 0.0f;
            for (int k = 0; k < K; k++)
                out[m] += v[k] * A[k * stride + m];
        }
        return;
    }
    const lanes *rows = (const lanes *)v;
    lanes *results = (lanes *)out;
    int m = 0;
    for (; m + 8 <= M; m += 8) {
        lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
        for (int k = 0; k < K; k++) {
            const float *a = A + k * stride + m;
            lanes row = rows[k];
            s0 += row * a[0];
            s1 += row * a[1];
            s2 += row * a[2];
            s3 += row * a[3];
            s4 += row * a[4];
            s5 += row * a[5];
            s6 += row * a[6];
            s7 += row * a[7];
        }
        results[m] = s0;
        results[m + 1] = s1;
        results[m + 2] = s2;
        results[m + 3] = s3;
        results[m + 4] = s4;
        results[m + 5] = s5;
        results[m + 6] = s6;
        results[m + 7] = s7;
    }
    for (; m < M; m++) {
        lanes s = {0};
        for (int k = 0; k < K; k++)
            s += rows[k] * A[k * stride + m];
        results[m] = s;
    }
}

/* R rows of L lanes, kept in registers. */
INLINE void accumulate_block(
    float *restrict d, int stride, const float *restrict v, const float *restrict a_t, int a_stride, const int W,
    const int R, const int L)
{
    loose_lanes s[4][2];
    for (int r = 0; r < R; r++)
        for (int l = 0; l < L; l++)
            s[r][l] = *(loose_lanes *)(d + r * stride + l * TILE);
    for (int j = 0; j < W; j++)
        for (int l = 0; l < L; l++) {
            loose_lanes a = *(const loose_lanes *)(a_t + j * a_stride + l * TILE);
            for (int r = 0; r < R; r++)
                s[r][l] += v[r * W + j] * a;
        }
    for (int r = 0; r < R; r++)
        for (int l = 0; l < L; l++)
            *(loose_lanes *)(d + r * stride + l * TILE) = s[r][l];
}

/* d (R, M) += v (R, W) a_t (W, M); rows of d are `stride` apart, those of a_t `a_stride`. */
INLINE void accumulate_rows(
    float *restrict d, int stride, const float *restrict v, const float *restrict a_t, int a_stride, int M,
    const int W, const int R)
{
    int m = 0;
    for (; m + 2 * TILE <= M; m += 2 * TILE)
        accumulate_block(d + m, stride, v, a_t + m, a_stride, W, R, 2);
    for (; m + TILE <= M; m += TILE)
        accumulate_block(d + m, stride, v, a_t + m, a_stride, W, R, 1);
    for (; m < M; m++)
        for (int r = 0; r < R; r++)
            for (int j = 0; j < W; j++)
                d[r * stride + m] += v[r * W + j] * a_t[j * a_stride + m];
}

INLINE void accumulate(
    float *d, int stride, const float *v, const float *a_t, int a_stride, int K, int M, const int W)
{
    int k = 0;
    for (; k + 4 <= K; k += 4)
        accumulate_rows(d + k * stride, stride, v + k * W, a_t, a_stride, M, W, 4);
    for (; k < K; k++)
        accumulate_rows(d + k * stride, stride, v + k * W, a_t, a_stride, M, W, 1);
}

/* In blocks of 4 x 4, whose elements change places within registers. */
INLINE void transpose(const float *restrict a, float *restrict a_t, int M, const int W)
{
    typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
    int m = 0;
    for (; W > 1 && m + 4 <= M; m += 4)
        for (int j = 0; j < W; j += 4) {
            const float *from = a + m * W + j;
            four r0 = *(const four *)from, r1 = *(const four *)(from + W);
            four r2 = *(const four *)(from + 2 * W), r3 = *(const four *)(from + 3 * W);
            four low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
            four low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
            four high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
            four high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
            float *to = a_t + j * M + m;
            *(four *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
            *(four *)(to + M) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
            *(four *)(to + 2 * M) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
            *(four *)(to + 3 * M) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
        }
    for (; m < M; m++)
        for (int j = 0; j < W; j++)
            a_t[j * M + m] = a[m * W + j];
}

/* Copy w of W columns of `rows` rows from an array with B columns to a tile, and back. */
INLINE void get(float *tile, const float *array, int rows, int B, int w, const int W)
{
    if (W == B)
        memcpy(tile, array, 4 * rows * W);
    else if (w == W)
        for (int r = 0; r < rows; r++)
            memcpy(tile + r * W, array + (long)r * B, 4 * W);
    else
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < W; j++)
                tile[r * W + j] = j < w ? array[(long)r * B + j] : 0.0f;
}

INLINE void put(float *array, const float *tile, int rows, int B, int w, const int W)
{
    if (W == B)
        memcpy(array, tile, 4 * rows * W);
    else if (w == W)
        for (int r = 0; r < rows; r++)
            memcpy(array + (long)r * B, tile + r * W, 4 * W);
    else
        for (int r = 0; r < rows; r++)
            memcpy(array + (long)r * B, tile + r * W, 4 * w);
}

/*
 * The inputs of all steps, (T, n_in, W). Well before their use: a vector that is read while its elements are still on
 * their way to the cache has to wait for each of them.
 */
INLINE void get_inputs(
    float *inputs, const float *x, long step, long feature, long sequence, int T, int n_in, int w, const int W)
{
    if (w < W)
        memset(inputs, 0, sizeof(float) * T * n_in * W);
    for (int t = 0; t < T; t++)
        for (int f = 0; f < n_in; f++, inputs += W)
            for (int j = 0; j < w; j++)
                inputs[j] = x[t * step + f * feature + j * sequence];
}

/* Those of one step, to the rows of [h; x; 1] that are theirs; for the tape to z as well, with the row of ones. */
INLINE void set_inputs(float *rows, const float *inputs, float *z, int taped, int n_in, int B, int w, const int W)
{
    memcpy(rows, inputs, 4 * n_in * W);
    if (taped)
        put(z, rows, n_in + 1, B, w, W);
}

/* The column before the first step: the hidden state, and the 1 that multiplies the biases. */
INLINE void get_first(float *v, const float *z, int H, int n_in, int B, int w, const int W)
{
    get(v, z, H, B, w, W);
    for (int j = 0; j < W; j++)
        v[(H + n_in) * W + j] = 1.0f;
}

INLINE void rnn_forward_tile(
    const float *stacked, const float *x, long step, long feature, long sequence, float *z, int taped, float *scratch,
    int T, int n_in, int H, int B, int w, const int W)
{
    int K = H + n_in + 1, N = H * W;
    float *v = scratch, *a = v + K * W, *inputs = a + N;
    get_inputs(inputs, x, step, feature, sequence, T, n_in, w, W);
    get_first(v, z, H, n_in, B, w, W);
    for (int t = 0; t < T; t++, z += (long)K * B, inputs += n_in * W) {
        set_inputs(v + N, inputs, z + (long)H * B, taped, n_in, B, w, W);
        product(stacked, H, v, a, K, H, W);
        tanh_all(a, N);
        memcpy(v, a, 4 * N);
        put(z + (long)K * B, v, H, B, w, W);
    }
}

/* The gradient that reaches a hidden state from outside the layer, of which only the last states may have any. */
INLINE void get_above(float *above, const float *d_h, int i, int H, int B, int w, const int W)
{
    if (i >= 0)
        get(above, d_h + (long)i * H * B, H, B, w, W);
    else
        memset(above, 0, 4 * H * W);
}

INLINE void rnn_backward_tile(
    const float *stacked_t, const float *z, const float *d_h, int n_above, float *dh, float *d_stacked, float *d_x,
    float *scratch, int T, int n_in, int H, int B, int w, const int W)
{
    int K = H + n_in + 1, N = H * W;
    float *d = scratch, *h = d + N, *above = h + N, *d_a = above + N, *d_a_t = d_a + N, *v = d_a_t + N, *dx = v + K * W;
    get(d, dh, H, B, w, W);
    get(h, z + (long)T * K * B, H, B, w, W);
    for (int t = T - 1; t >= 0; t--) {
        get(v, z + (long)t * K * B, K, B, w, W);
        get_above(above, d_h, t - T + n_above, H, B, w, W);
        rnn_equations_back(d, above, h, d_a, N);
        transpose(d_a, d_a_t, H, W);
        accumulate(d_stacked, H, v, d_a_t, H, K, H, W);
        product(stacked_t, K, d_a, d, H, H, W);
        if (d_x) {
            product(stacked_t + H, K, d_a, dx, H, n_in, W);
            put(d_x + (long)t * n_in * B, dx, n_in, B, w, W);
        }
        memcpy(h, v, 4 * N);
    }
    put(dh, d, H, B, w, W);
}

INLINE void lstm_forward_tile(
    const float *stacked, const float *x, long step, long feature, long sequence, float *z, float *pages, int taped,
    float *scratch, int T, int n_in, int H, int B, int w, const int W)
{
    int K = H + n_in + 1, N = H * W;
    float *v = scratch, *i = v + K * W, *f = i + N, *o = f + N, *g = o + N, *tanh_c = g + N, *c = tanh_c + N;
    float *inputs = c + N;
    get_inputs(inputs, x, step, feature, sequence, T, n_in, w, W);
    get_first(v, z, H, n_in, B, w, W);
    get(c, pages + (long)5 * H * B, H, B, w, W);
    for (int t = 0; t < T; t++, z += (long)K * B, inputs += n_in * W) {
        set_inputs(v + N, inputs, z + (long)H * B, taped, n_in, B, w, W);
        product(stacked, 4 * H, v, i, K, 4 * H, W);
        sigmoid_all(i, 3 * N); /* i, f and o */
        tanh_all(g, N);
        lstm_equations(i, f, o, g, tanh_c, c, v, N);
        if (taped) {
            put(pages, i, 5 * H, B, w, W);
            pages += (long)6 * H * B;
            put(pages + (long)5 * H * B, c, H, B, w, W);
        }
        put(z + (long)K * B, v, H, B, w, W);
    }
    if (!taped)
        put(pages + (long)5 * H * B, c, H, B, w, W);
}

INLINE void lstm_backward_tile(
    const float *stacked_t, const float *z, const float *pages, const float *d_h, int n_above, float *dh_, float *dc_,
    float *d_stacked, float *d_x, float *scratch, int T, int n_in, int H, int B, int w, const int W)
{
    int K = H + n_in + 1, M = 4 * H, N = H * W;
    float *dh = scratch, *dc = dh + N, *above = dc + N, *page = above + N;
    float *i = page, *f = i + N, *o = f + N, *g = o + N, *tanh_c = g + N, *c = tanh_c + N;
    float *d_i = c + N, *d_f = d_i + N, *d_o = d_f + N, *d_g = d_o + N;
    float *d_a_t = d_g + N, *v = d_a_t + M * W, *dx = v + K * W;
    get(dh, dh_, H, B, w, W);
    get(dc, dc_, H, B, w, W);
    for (int t = T - 1; t >= 0; t--) {
        get(v, z + (long)t * K * B, K, B, w, W);
        get(page, pages + (long)t * 6 * H * B, 6 * H, B, w, W);
        get_above(above, d_h, t - T + n_above, H, B, w, W);
        lstm_equations_back(dh, dc, above, i, f, o, g, tanh_c, c, d_i, d_f, d_o, d_g, N);
        transpose(d_i, d_a_t, M, W);
        accumulate(d_stacked, M, v, d_a_t, M, K, M, W);
        product(stacked_t, K, d_i, dh, M, H, W);
        if (d_x) {
            product(stacked_t + H, K, d_i, dx, M, n_in, W);
            put(d_x + (long)t * n_in * B, dx, n_in, B, w, W);
        }
    }
    put(dh_, dh, H, B, w, W);
    put(dc_, dc, H, B, w, W);
}

INLINE void gru_forward_tile(
    const float *stacked, const float *x, long step, long feature, long sequence, float *z_, float *pages, int taped,
    float *scratch, int T, int n_in, int H, int B, int w, const int W)
{
    int K = H + n_in + 1, N = H * W;
    float *v = scratch, *r = v + K * W, *z = r + N, *m = z + N, *n = m + N, *inputs = n + N;
    get_inputs(inputs, x, step, feature, sequence, T, n_in, w, W);
    get_first(v, z_, H, n_in, B, w, W);
    for (int t = 0; t < T; t++, z_ += (long)K * B, inputs += n_in * W) {
        set_inputs(v + N, inputs, z_ + (long)H * B, taped, n_in, B, w, W);
        product(stacked, 4 * H, v, r, K, 3 * H, W); /* r, z and m */
        product(stacked + H * 4 * H + 3 * H, 4 * H, v + N, n, n_in + 1, H, W);
        sigmoid_all(r, 2 * N); /* r and z */
        gru_equations(r, z, n, m, v, N);
        if (taped)
            put(pages + (long)t * 4 * H * B, r, 4 * H, B, w, W);
        put(z_ + (long)K * B, v, H, B, w, W);
    }
}

INLINE void gru_backward_tile(
    const float *stacked_t, const float *z_, const float *pages, const float *d_h, int n_above, float *dh_,
    float *d_stacked, float *d_x, float *scratch, int T, int n_in, int H, int B, int w, const int W)
{
    int K = H + n_in + 1, M = 4 * H, N = H * W;
    float *dh = scratch, *above = dh + N, *kept = above + N, *page = kept + N;
    float *r = page, *z = r + N, *m = z + N, *n = m + N;
    float *d_r = n + N, *d_z = d_r + N, *d_m = d_z + N, *d_n = d_m + N;
    float *d_a_t = d_n + N, *v = d_a_t + M * W, *dx = v + K * W;
    get(dh, dh_, H, B, w, W);
    for (int t = T - 1; t >= 0; t--) {
        get(v, z_ + (long)t * K * B, K, B, w, W);
        get(page, pages + (long)t * M * B, M, B, w, W);
        get_above(above, d_h, t - T + n_above, H, B, w, W);
        gru_equations_back(dh, above, v, r, z, n, m, d_r, d_z, d_n, d_m, kept, N);
        transpose(d_r, d_a_t, M, W);
        accumulate(d_stacked, M, v, d_a_t, M, K, 3 * H, W); /* r, z and m */
        accumulate(d_stacked + H * M + 3 * H, M, v + N, d_a_t + 3 * H, M, n_in + 1, H, W);
        product(stacked_t, K, d_r, dh, 3 * H, H, W);
        for (int j = 0; j < N; j++)
            dh[j] += kept[j];
        if (d_x) {
            product(stacked_t + H, K, d_r, dx, M, n_in, W);
            put(d_x + (long)t * n_in * B, dx, n_in, B, w, W);
        }
    }
    put(dh_, dh, H, B, w, W);
}

INLINE float *aligned(float *scratch) { return (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63); }

/* Every tile in turn; a single sequence needs none, its units are side by side instead. */
#define FOR_EACH_TILE(call_tile)                                                                                       \
    scratch = aligned(scratch);                                                                                        \
    if (B == 1) {                                                                                                      \
        const int col = 0, w = 1;                                                                                      \
        call_tile(1);                                                                                                  \
    } else                                                                                                             \
        for (int col = 0; col < B; col += TILE) {                                                                      \
            const int w = B - col < TILE ? B - col : TILE;                                                             \
            call_tile(TILE);                                                                                           \
        }

ENTRY rnn_forward(
    const float *stacked, const float *x, long step, long feature, long sequence, float *z, float *pages, int taped,
    float *scratch, int T, int n_in, int H, int B)
{
    (void)pages;
#define CALL(W)                                                                                                        \
    rnn_forward_tile(stacked, x + col * sequence, step, feature, sequence, z + col, taped, scratch, T, n_in, H, B, w, W)
    FOR_EACH_TILE(CALL)
#undef CALL
}

ENTRY lstm_forward(
    const float *stacked, const float *x, long step, long feature, long sequence, float *z, float *pages, int taped,
    float *scratch, int T, int n_in, int H, int B)
{
#define CALL(W)                                                                                                        \
    lstm_forward_tile(stacked, x + col * sequence, step, feature, sequence, z + col, pages + col, taped, scratch,      \
                      T, n_in, H, B, w, W)
    FOR_EACH_TILE(CALL)
#undef CALL
}

ENTRY gru_forward(
    const float *stacked, const float *x, long step, long feature, long sequence, float *z, float *pages, int taped,
    float *scratch, int T, int n_in, int H, int B)
{
#define CALL(W)                                                                                                        \
    gru_forward_tile(stacked, x + col * sequence, step, feature, sequence, z + col, pages + col, taped, scratch,       \
                     T, n_in, H, B, w, W)
    FOR_EACH_TILE(CALL)
#undef CALL
}

#define AT(pointer) ((pointer) ? (pointer) + col : 0)

ENTRY rnn_backward(
    const float *stacked_t, const float *z, const float *pages, const float *d_h, int n_above, float *dh, float *dc,
    float *d_stacked, float *d_x, float *scratch, int T, int n_in, int H, int B)
{
    (void)pages, (void)dc;
#define CALL(W)                                                                                                        \
    rnn_backward_tile(stacked_t, z + col, d_h + col, n_above, dh + col, d_stacked, AT(d_x), scratch,                   \
                      T, n_in, H, B, w, W)
    FOR_EACH_TILE(CALL)
#undef CALL
}

ENTRY lstm_backward(
    const float *stacked_t, const float *z, const float *pages, const float *d_h, int n_above, float *dh, float *dc,
    float *d_stacked, float *d_x, float *scratch, int T, int n_in, int H, int B)
{
#define CALL(W)                                                                                                        \
    lstm_backward_tile(stacked_t, z + col, pages + col, d_h + col, n_above, dh + col, dc + col, d_stacked, AT(d_x),    \
                       scratch, T, n_in, H, B, w, W)
    FOR_EACH_TILE(CALL)
#undef CALL
}

ENTRY gru_backward(
    const float *stacked_t, const float *z, const float *pages, const float *d_h, int n_above, float *dh, float *dc,
    float *d_stacked, float *d_x, float *scratch, int T, int n_in, int H, int B)
{
    (void)dc;
#define CALL(W)                                                                                                        \
    gru_backward_tile(stacked_t, z + col, pages + col, d_h + col, n_above, dh + col, d_stacked, AT(d_x), scratch,      \
                      T, n_in, H, B, w, W)
    FOR_EACH_TILE(CALL)
#undef CALL
}
