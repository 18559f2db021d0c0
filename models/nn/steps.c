/*
 * All steps of a layer in one call, in float32. The equations are those of the cells in models/nn/cells/.
 *
 * Read from the bottom up:
 *
 *     CELL                   the functions of one cell for this kind of processor, called from Python
 *     *_tile                 all steps of one tile, up to TILE sequences, so that its data stay in the level 1 cache
 *     *_equations            one step of a cell, element by element, as in its docstring
 *     product, accumulate    the matrix products of a step
 *     MEMORY, SCRATCH        numbers of floats that the caller provides; nothing is static, so calls are independent
 *
 * The arrays of a call, for T steps, n_in inputs, H units, B sequences, K = H + n_in + 1, M columns for all gates:
 *
 *     x       (T, n_in, B)    inputs, with strides in bytes between steps, inputs and sequences
 *     h0, c0  (H, B)          initial state; NULL for zeros
 *     h       (n_out, H, B)   hidden states of the last n_out steps; c (H, B) is the final c of the LSTM
 *     stacked (K, M)          [U; W; b], side by side for each gate; stacked_t is its transpose, d_stacked its gradient
 *     d_h     (n_above, H, B) gradient that reaches the hidden states of the last n_above steps from outside the layer
 *     d_x     (T, n_in, B)    gradient of the inputs; NULL to skip it
 *
 * The tape holds, tile after tile: the columns [h; x; 1] of all steps and a final one (T + 1, K, W), the gates
 * (T, P, W), and the c of the LSTM (T + 1, H, W), where W is TILE, or 1 for a single sequence. Without a tape, two
 * columns alternate, and all tiles use the same memory, with the inputs (T, n_in, W) at its end.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Sizes and positions; their products may exceed an int. */
typedef ptrdiff_t size;

#define INLINE static inline __attribute__((always_inline))

/* Compiled once for each KIND of processor: a row of a tile fills a vector register, and ROWS rows fill all of them. */
#ifndef KIND
#define KIND plain
#define WITH_KIND
#endif
#if defined(__AVX512F__)
enum { TILE = 16, ROWS = 16 };
#elif defined(__AVX2__)
enum { TILE = 8, ROWS = 8 };
#else
enum { TILE = 4, ROWS = 8 };
#endif
#define PASTE(a, b) a##_##b
#define WITH(name, kind) PASTE(name, kind)
#define NAME(name) WITH(name, KIND)

typedef float lanes __attribute__((vector_size(4 * TILE), aligned(4), may_alias)); /* at any address */

#ifdef WITH_KIND
/* Increment when a signature below changes; models/nn/compiled.py loads no other version than its own. */
int interface_version(void)
{
    return 6;
}

/* The kind of this processor. */
const char *kind(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "v4";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return "v3";
#endif
    return "plain";
}
#endif

/*
 * 1 / x for a normal x > 0, in a quarter of the time of a division: negating the exponent gives it to 12 %, and each
 * Newton step squares the relative error.
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
 * |r| <= ln(2) / 2, where seven terms of the series of exp suffice for float32. The argument is limited to +-8.6, where
 * tanh is within one float32 step of +-1: beyond, rounding errors could exceed 1.
 */
INLINE float tanh_(float a)
{
    a = a > 8.6f ? 8.6f : a;
    a = a < -8.6f ? -8.6f : a;
    float y = 2.0f * a;
    const float round_to_integer = 12582912.0f; /* 1.5 * 2^23: its last bit is 1 */
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

INLINE float sigmoid_(float a)
{
    return 0.5f * tanh_(0.5f * a) + 0.5f;
}

/* The equations of one step, element by element; "restrict" (no overlap) lets compilers use vector instructions. */

INLINE void tanh_all(float *a, size n)
{
    for (size j = 0; j < n; j++)
        a[j] = tanh_(a[j]);
}

INLINE void sigmoid_all(float *a, size n)
{
    for (size j = 0; j < n; j++)
        a[j] = sigmoid_(a[j]);
}

INLINE void rnn_equations_back(const float *restrict d, const float *restrict h, float *restrict d_a, size n)
{
    for (size j = 0; j < n; j++)
        d_a[j] = d[j] * (1.0f - h[j] * h[j]);
}

INLINE void lstm_equations(
    const float *restrict i, const float *restrict f, const float *restrict o, const float *restrict g,
    const float *restrict c, float *restrict tanh_c, float *restrict c_next, float *restrict h, size n)
{
    for (size j = 0; j < n; j++) {
        c_next[j] = f[j] * c[j] + i[j] * g[j];
        tanh_c[j] = tanh_(c_next[j]);
        h[j] = o[j] * tanh_c[j];
    }
}

INLINE void lstm_equations_back(
    const float *restrict dh, float *restrict dc, const float *restrict i, const float *restrict f,
    const float *restrict o, const float *restrict g, const float *restrict tanh_c, const float *restrict c,
    float *restrict d_i, float *restrict d_f, float *restrict d_o, float *restrict d_g, size n)
{
    for (size j = 0; j < n; j++) {
        float d = dh[j];
        float d_c = dc[j] + d * o[j] * (1.0f - tanh_c[j] * tanh_c[j]);
        d_i[j] = d_c * g[j] * (i[j] * (1.0f - i[j]));
        d_f[j] = d_c * c[j] * (f[j] * (1.0f - f[j]));
        d_o[j] = d * tanh_c[j] * (o[j] * (1.0f - o[j]));
        d_g[j] = d_c * i[j] * (1.0f - g[j] * g[j]);
        dc[j] = d_c * f[j];
    }
}

INLINE void gru_equations(
    const float *restrict h, const float *restrict r, const float *restrict z, const float *restrict m,
    float *restrict n, float *restrict h_next, size count)
{
    for (size j = 0; j < count; j++) {
        n[j] = tanh_(n[j] + r[j] * m[j]);
        h_next[j] = n[j] + z[j] * (h[j] - n[j]);
    }
}

INLINE void gru_equations_back(
    const float *restrict dh, const float *restrict h, const float *restrict r, const float *restrict z,
    const float *restrict m, const float *restrict n, float *restrict d_r, float *restrict d_z, float *restrict d_m,
    float *restrict d_n, float *restrict kept, size count)
{
    for (size j = 0; j < count; j++) {
        float d = dh[j];
        d_n[j] = d * (1.0f - z[j]) * (1.0f - n[j] * n[j]);
        d_m[j] = d_n[j] * r[j];
        d_r[j] = d_n[j] * m[j] * (r[j] * (1.0f - r[j]));
        d_z[j] = d * (h[j] - n[j]) * (z[j] * (1.0f - z[j]));
        kept[j] = d * z[j];
    }
}

/* R rows of out = A^T v, kept in registers. */
INLINE void
product_rows(const float *restrict A, size stride, const float *restrict v, float *restrict out, size K, const size R)
{
    lanes s[ROWS];
    for (size r = 0; r < R; r++)
        s[r] = (lanes){0};
    for (size k = 0; k < K; k++) {
        lanes row = *(const lanes *)(v + k * TILE);
        for (size r = 0; r < R; r++)
            s[r] += row * A[k * stride + r];
    }
    for (size r = 0; r < R; r++)
        *(lanes *)(out + r * TILE) = s[r];
}

/* For a single sequence, L TILE units at once; separate sums for odd and even k shorten the chain of dependent sums. */
INLINE void
product_lanes(const float *restrict A, size stride, const float *restrict v, float *restrict out, size K, const size L)
{
    lanes s[2][4] = {0};
    size k = 0;
    for (; k + 2 <= K; k += 2)
        for (size odd = 0; odd < 2; odd++)
            for (size l = 0; l < L; l++)
                s[odd][l] += v[k + odd] * *(const lanes *)(A + (k + odd) * stride + l * TILE);
    for (size l = 0; l < L; l++) {
        if (k < K)
            s[0][l] += v[k] * *(const lanes *)(A + k * stride + l * TILE);
        *(lanes *)(out + l * TILE) = s[0][l] + s[1][l];
    }
}

INLINE void
product_of_one(const float *restrict A, size stride, const float *restrict v, float *restrict out, size K, size M)
{
    size m = 0;
    for (; m + 4 * TILE <= M; m += 4 * TILE)
        product_lanes(A + m, stride, v, out + m, K, 4);
    for (; m + 2 * TILE <= M; m += 2 * TILE)
        product_lanes(A + m, stride, v, out + m, K, 2);
    for (; m < M; m++) {
        out[m] = 0.0f;
        for (size k = 0; k < K; k++)
            out[m] += v[k] * A[k * stride + m];
    }
}

/* out (M, W) = A^T v, with A (K, M), its rows `stride` apart, and v (K, W). */
INLINE void product(const float *A, size stride, const float *v, float *out, size K, size M, const size W)
{
    if (W == 1) {
        product_of_one(A, stride, v, out, K, M);
        return;
    }
    size m = 0;
    for (; m + ROWS <= M; m += ROWS)
        product_rows(A + m, stride, v, out + m * W, K, ROWS);
    for (; m + 4 <= M; m += 4)
        product_rows(A + m, stride, v, out + m * W, K, 4);
    for (; m < M; m++)
        product_rows(A + m, stride, v, out + m * W, K, 1);
}

/* R rows of L lanes, kept in registers. */
INLINE void accumulate_block(
    float *restrict d, size stride, const float *restrict v, const float *restrict a_t, size a_stride, const size W,
    const size R, const size L)
{
    lanes s[ROWS / 2 + 1][2];
    for (size r = 0; r < R; r++)
        for (size l = 0; l < L; l++)
            s[r][l] = *(lanes *)(d + r * stride + l * TILE);
    for (size j = 0; j < W; j++)
        for (size l = 0; l < L; l++) {
            lanes a = *(const lanes *)(a_t + j * a_stride + l * TILE);
            for (size r = 0; r < R; r++)
                s[r][l] += v[r * W + j] * a;
        }
    for (size r = 0; r < R; r++)
        for (size l = 0; l < L; l++)
            *(lanes *)(d + r * stride + l * TILE) = s[r][l];
}

/* d (R, M) += v (R, W) a_t (W, M); rows of d are `stride` apart, those of a_t `a_stride`. */
INLINE void accumulate_rows(
    float *restrict d, size stride, const float *restrict v, const float *restrict a_t, size a_stride, size M,
    const size W, const size R)
{
    size m = 0;
    for (; m + 2 * TILE <= M; m += 2 * TILE)
        accumulate_block(d + m, stride, v, a_t + m, a_stride, W, R, 2);
    for (; m + TILE <= M; m += TILE)
        accumulate_block(d + m, stride, v, a_t + m, a_stride, W, R, 1);
    for (; m < M; m++)
        for (size r = 0; r < R; r++)
            for (size j = 0; j < W; j++)
                d[r * stride + m] += v[r * W + j] * a_t[j * a_stride + m];
}

INLINE void
accumulate(float *d, size stride, const float *v, const float *a_t, size a_stride, size K, size M, const size W)
{
    /* One row takes as long as R, so a single last row (the ones) is joined to the block before it. */
    const size R = ROWS / 2;
    size k = 0;
    for (; k + R <= K && k + R + 1 != K; k += R)
        accumulate_rows(d + k * stride, stride, v + k * W, a_t, a_stride, M, W, R);
    if (k + R + 1 == K) {
        accumulate_rows(d + k * stride, stride, v + k * W, a_t, a_stride, M, W, R + 1);
        k += R + 1;
    }
    for (; k < K; k++)
        accumulate_rows(d + k * stride, stride, v + k * W, a_t, a_stride, M, W, 1);
}

/* a_t (W, M) = the transpose of a (M, W), in blocks of 4 x 4 within registers. */
INLINE void transpose(const float *restrict a, float *restrict a_t, size M, const size W)
{
    typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
    size m = 0;
    for (; W > 1 && m + 4 <= M; m += 4)
        for (size j = 0; j < W; j += 4) {
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
        for (size j = 0; j < W; j++)
            a_t[j * M + m] = a[m * W + j];
}

/* Copy w of W columns of `rows` rows from an array with B columns to a tile (NULL for zeros), and back. */
INLINE void get(float *tile, const float *array, size rows, size B, size w, const size W)
{
    if (!array)
        memset(tile, 0, (size_t)(4 * rows * W));
    else
        for (size r = 0; r < rows; r++)
            if (w == W)
                memcpy(tile + r * W, array + r * B, (size_t)(4 * W));
            else
                for (size j = 0; j < W; j++)
                    tile[r * W + j] = j < w ? array[r * B + j] : 0.0f;
}

INLINE void put(float *array, const float *tile, size rows, size B, size w, const size W)
{
    for (size r = 0; r < rows; r++)
        memcpy(array + r * B, tile + r * W, (size_t)(4 * (w == W ? W : w)));
}

/* Add the gradient from outside the layer to the gradient of a hidden state. */
INLINE void add_above(float *d, const float *d_h, size t, size n_above, size T, size H, size B, size w, const size W)
{
    if (t < T - n_above)
        return;
    d_h += (t - T + n_above) * H * B;
    for (size r = 0; r < H; r++)
        for (size j = 0; j < (w == W ? W : w); j++)
            d[r * W + j] += d_h[r * B + j];
}

/* Floats of a tile of W sequences, with the tape or without. */
INLINE size tile_floats(size keep, size T, size n_in, size H, size P, size HC, size W)
{
    const size K = H + n_in + 1;
    return W * (keep ? (T + 1) * (K + HC) + T * P : 2 * (K + HC) + P + T * n_in);
}

/* The arguments of a forward call. */
typedef struct {
    const char *x;
    size step, feature, sequence;
    const float *h0, *c0;
    float *memory, *h, *c;
    size keep, n_out, T, n_in, H, B;
} Call;

/* The parts of a tile's memory; column t is z + (t % columns) * K * W, and so on. */
typedef struct {
    float *z, *pages, *c, *inputs;
    size columns, n_pages;
} Tile;

/*
 * Lay out the memory of the tile that begins with sequence `first`, and fill in the ones, the initial state and the
 * inputs. The inputs of all steps are copied well before their use: reading a vector whose elements have not all
 * reached the cache stalls on each of them.
 */
INLINE Tile begin(const Call *call, size P, size HC, size first, size w, const size W)
{
    const size T = call->T, n_in = call->n_in, H = call->H, B = call->B, K = H + n_in + 1;
    Tile tile;
    tile.columns = call->keep ? T + 1 : 2;
    tile.n_pages = call->keep ? T : 1;
    tile.z = call->memory;
    if (call->keep)
        tile.z += first / W * tile_floats(1, T, n_in, H, P, HC, W);
    tile.pages = tile.z + tile.columns * K * W;
    tile.c = tile.pages + tile.n_pages * P * W;
    float *inputs = tile.inputs = call->keep ? tile.z + H * W : tile.c + tile.columns * HC * W;
    const size apart = (call->keep ? K : n_in) * W;
    for (size t = 0; t < T; t++, inputs += apart) {
        const char *x = call->x + t * call->step + first * call->sequence;
        for (size f = 0; f < n_in; f++)
            for (size j = 0; j < W; j++)
                inputs[f * W + j] = j < w ? *(const float *)(x + f * call->feature + j * call->sequence) : 0.0f;
    }
    for (size t = 0; t < tile.columns; t++)
        for (size j = 0; j < W; j++)
            tile.z[(t * K + K - 1) * W + j] = 1.0f;
    get(tile.z, call->h0 ? call->h0 + first : 0, H, B, w, W);
    if (HC)
        get(tile.c, call->c0 ? call->c0 + first : 0, H, B, w, W);
    return tile;
}

/* Return the column [h; x; 1] of step t. */
INLINE float *column(const Call *call, const Tile *tile, size t, const size W)
{
    const size n_in = call->n_in, H = call->H;
    float *v = tile->z + (t % tile->columns) * (H + n_in + 1) * W;
    if (!call->keep && t < call->T)
        memcpy(v + H * W, tile->inputs + t * n_in * W, (size_t)(4 * n_in * W));
    return v;
}

/* Copy the hidden state after step t to the caller's h. */
INLINE void hand_out(const Call *call, const float *h, size t, size first, size w, const size W)
{
    const size i = t - call->T + call->n_out;
    if (i >= 0)
        put(call->h + i * call->H * call->B + first, h, call->H, call->B, w, W);
}

INLINE void rnn_forward_tile(const float *stacked, const Call *call, size first, size w, const size W)
{
    const size H = call->H, K = H + call->n_in + 1;
    Tile tile = begin(call, 0, 0, first, w, W);
    for (size t = 0; t < call->T; t++) {
        float *v = column(call, &tile, t, W), *h = tile.z + ((t + 1) % tile.columns) * K * W;
        product(stacked, H, v, h, K, H, W);
        tanh_all(h, H * W);
        hand_out(call, h, t, first, w, W);
    }
}

INLINE void lstm_forward_tile(const float *stacked, const Call *call, size first, size w, const size W)
{
    const size H = call->H, K = H + call->n_in + 1, N = H * W;
    Tile tile = begin(call, 5 * H, H, first, w, W);
    for (size t = 0; t < call->T; t++) {
        float *v = column(call, &tile, t, W), *h = tile.z + ((t + 1) % tile.columns) * K * W;
        float *i = tile.pages + (t % tile.n_pages) * 5 * N, *f = i + N, *o = f + N, *g = o + N, *tanh_c = g + N;
        float *c = tile.c + (t % tile.columns) * N, *c_next = tile.c + ((t + 1) % tile.columns) * N;
        product(stacked, 4 * H, v, i, K, 4 * H, W);
        sigmoid_all(i, 3 * N); /* i, f and o */
        tanh_all(g, N);
        lstm_equations(i, f, o, g, c, tanh_c, c_next, h, N);
        hand_out(call, h, t, first, w, W);
    }
    if (call->c)
        put(call->c + first, tile.c + (call->T % tile.columns) * N, H, call->B, w, W);
}

INLINE void gru_forward_tile(const float *stacked, const Call *call, size first, size w, const size W)
{
    const size H = call->H, n_in = call->n_in, K = H + n_in + 1, N = H * W;
    Tile tile = begin(call, 4 * H, 0, first, w, W);
    for (size t = 0; t < call->T; t++) {
        float *v = column(call, &tile, t, W), *h = tile.z + ((t + 1) % tile.columns) * K * W;
        float *r = tile.pages + (t % tile.n_pages) * 4 * N, *z = r + N, *m = z + N, *n = m + N;
        product(stacked, 4 * H, v, r, K, 3 * H, W); /* r, z and m */
        product(stacked + H * 4 * H + 3 * H, 4 * H, v + N, n, n_in + 1, H, W);
        sigmoid_all(r, 2 * N); /* r and z */
        gru_equations(v, r, z, m, n, h, N);
        hand_out(call, h, t, first, w, W);
    }
}

/* The arguments of a backward call; dh and dc (H, B) are updated in place. */
typedef struct {
    const float *tape, *d_h;
    float *dh, *dc, *d_stacked, *d_x, *scratch;
    size n_above, T, n_in, H, B;
} Back;

INLINE void rnn_backward_tile(const float *stacked_t, const Back *back, size first, size w, const size W)
{
    const size T = back->T, n_in = back->n_in, H = back->H, B = back->B, K = H + n_in + 1, N = H * W;
    const float *z = back->tape + first / W * tile_floats(1, T, n_in, H, 0, 0, W);
    float *d = back->scratch, *d_a = d + N, *d_a_t = d_a + N, *dx = d_a_t + N;
    get(d, back->dh + first, H, B, w, W);
    for (size t = T - 1; t >= 0; t--) {
        const float *v = z + t * K * W;
        add_above(d, back->d_h + first, t, back->n_above, T, H, B, w, W);
        rnn_equations_back(d, v + K * W, d_a, N);
        transpose(d_a, d_a_t, H, W);
        accumulate(back->d_stacked, H, v, d_a_t, H, K, H, W);
        product(stacked_t, K, d_a, d, H, H, W);
        if (back->d_x) {
            product(stacked_t + H, K, d_a, dx, H, n_in, W);
            put(back->d_x + t * n_in * B + first, dx, n_in, B, w, W);
        }
    }
    put(back->dh + first, d, H, B, w, W);
}

INLINE void lstm_backward_tile(const float *stacked_t, const Back *back, size first, size w, const size W)
{
    const size T = back->T, n_in = back->n_in, H = back->H, B = back->B, K = H + n_in + 1, M = 4 * H, N = H * W;
    const float *z = back->tape + first / W * tile_floats(1, T, n_in, H, 5 * H, H, W);
    const float *pages = z + (T + 1) * K * W, *cs = pages + T * 5 * N;
    float *dh = back->scratch, *dc = dh + N, *d_i = dc + N, *d_f = d_i + N, *d_o = d_f + N, *d_g = d_o + N;
    float *d_a_t = d_g + N, *dx = d_a_t + M * W;
    get(dh, back->dh + first, H, B, w, W);
    get(dc, back->dc + first, H, B, w, W);
    for (size t = T - 1; t >= 0; t--) {
        const float *v = z + t * K * W, *i = pages + t * 5 * N, *f = i + N, *o = f + N, *g = o + N;
        add_above(dh, back->d_h + first, t, back->n_above, T, H, B, w, W);
        lstm_equations_back(dh, dc, i, f, o, g, g + N, cs + t * N, d_i, d_f, d_o, d_g, N);
        transpose(d_i, d_a_t, M, W);
        accumulate(back->d_stacked, M, v, d_a_t, M, K, M, W);
        product(stacked_t, K, d_i, dh, M, H, W);
        if (back->d_x) {
            product(stacked_t + H, K, d_i, dx, M, n_in, W);
            put(back->d_x + t * n_in * B + first, dx, n_in, B, w, W);
        }
    }
    put(back->dh + first, dh, H, B, w, W);
    put(back->dc + first, dc, H, B, w, W);
}

INLINE void gru_backward_tile(const float *stacked_t, const Back *back, size first, size w, const size W)
{
    const size T = back->T, n_in = back->n_in, H = back->H, B = back->B, K = H + n_in + 1, M = 4 * H, N = H * W;
    const float *columns = back->tape + first / W * tile_floats(1, T, n_in, H, M, 0, W);
    const float *pages = columns + (T + 1) * K * W;
    float *dh = back->scratch, *kept = dh + N, *d_r = kept + N, *d_z = d_r + N, *d_m = d_z + N, *d_n = d_m + N;
    float *d_a_t = d_n + N, *dx = d_a_t + M * W;
    get(dh, back->dh + first, H, B, w, W);
    for (size t = T - 1; t >= 0; t--) {
        const float *v = columns + t * K * W, *r = pages + t * M * W, *z = r + N, *m = z + N, *n = m + N;
        add_above(dh, back->d_h + first, t, back->n_above, T, H, B, w, W);
        gru_equations_back(dh, v, r, z, m, n, d_r, d_z, d_m, d_n, kept, N);
        transpose(d_r, d_a_t, M, W);
        accumulate(back->d_stacked, M, v, d_a_t, M, K, 3 * H, W); /* r, z and m */
        accumulate(back->d_stacked + H * M + 3 * H, M, v + N, d_a_t + 3 * H, M, n_in + 1, H, W);
        product(stacked_t, K, d_r, dh, 3 * H, H, W);
        for (size j = 0; j < N; j++)
            dh[j] += kept[j];
        if (back->d_x) {
            product(stacked_t + H, K, d_r, dx, M, n_in, W);
            put(back->d_x + t * n_in * B + first, dx, n_in, B, w, W);
        }
    }
    put(back->dh + first, dh, H, B, w, W);
}

/* Every tile in turn; a single sequence is a tile of width 1, vectorised over units instead of sequences. */
#define FOR_EACH_TILE(tile, weights, call)                                                                             \
    if (B == 1)                                                                                                        \
        tile(weights, &call, 0, 1, 1);                                                                                 \
    else                                                                                                               \
        for (size first = 0; first < B; first += TILE)                                                                 \
            tile(weights, &call, first, B - first < TILE ? B - first : TILE, TILE);

/* Floats that `memory` must hold: all tiles with a tape, for the backward pass, otherwise one tile. */
#define MEMORY(cell, page, c)                                                                                          \
    size NAME(cell##_memory)(size keep, size T, size n_in, size H, size B)                                             \
    {                                                                                                                  \
        const size W = B == 1 ? 1 : TILE, tiles = keep ? (B + W - 1) / W : 1;                                          \
        return tiles * tile_floats(keep, T, n_in, H, page * H, c * H, W);                                              \
    }

#define FORWARD(cell)                                                                                                  \
    void NAME(cell##_forward)(                                                                                         \
        const float *stacked, const char *x, size step, size feature, size sequence, const float *h0, const float *c0, \
        float *memory, size keep, float *h, size n_out, float *c, size T, size n_in, size H, size B)                   \
    {                                                                                                                  \
        const Call call = {x, step, feature, sequence, h0, c0, memory, h, c, keep, n_out, T, n_in, H, B};              \
        FOR_EACH_TILE(cell##_forward_tile, stacked, call)                                                              \
    }

/* Several networks of one layer on the same inputs; stacked (members, K, M), h (members, n_out, H, B). */
#define ENSEMBLE(cell)                                                                                                 \
    void NAME(cell##_ensemble)(                                                                                        \
        const float *stacked, size members, size weights, const char *x, size step, size feature, size sequence,       \
        float *memory, float *h, size n_out, size T, size n_in, size H, size B)                                        \
    {                                                                                                                  \
        for (size m = 0; m < members; m++)                                                                             \
            NAME(cell##_forward)(                                                                                      \
                stacked + m * weights, x, step, feature, sequence, NULL, NULL, memory, 0, h + m * n_out * H * B,       \
                n_out, NULL, T, n_in, H, B);                                                                           \
    }

/* Floats that `scratch` must hold: dh, dc or `kept`, the gradient of the gates and its transpose, and dx. */
#define SCRATCH(cell, gates)                                                                                           \
    size NAME(cell##_scratch)(size n_in, size H, size B)                                                               \
    {                                                                                                                  \
        return (B == 1 ? 1 : TILE) * ((2 + 2 * gates) * H + n_in);                                                     \
    }

#define BACKWARD(cell)                                                                                                 \
    void NAME(cell##_backward)(                                                                                        \
        const float *stacked_t, const float *tape, const float *d_h, size n_above, float *dh, float *dc,               \
        float *d_stacked, float *d_x, float *scratch, size T, size n_in, size H, size B)                               \
    {                                                                                                                  \
        const Back back = {tape, d_h, dh, dc, d_stacked, d_x, scratch, n_above, T, n_in, H, B};                        \
        FOR_EACH_TILE(cell##_backward_tile, stacked_t, back)                                                           \
    }

/* A cell, with its numbers of blocks of H rows: gates, page of the tape, and c. */
#define CELL(cell, gates, page, c)                                                                                     \
    MEMORY(cell, page, c) FORWARD(cell) ENSEMBLE(cell) SCRATCH(cell, gates) BACKWARD(cell)

CELL(rnn, 1, 0, 0)
CELL(lstm, 4, 5, 1)
CELL(gru, 4, 4, 0)
