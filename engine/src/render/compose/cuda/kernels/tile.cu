// The compositor's fused kernel: layers over a tile of the canvas, with everything done to them.

#if PART < 2
#if F_LUT || F_LIGHT
// Tetrahedral interpolation: see `lut/mod.rs`.
__device__ void tetrahedral(const float *points, int side, const int *cell, const float *part, float *out) {
    int strides[3] = {side * side, side, 1};
    int base = cell[0] * strides[0] + cell[1] * strides[1] + cell[2];
    float a = part[0], b = part[1], c = part[2];
    int order[3];
    if (a >= b) {
        if (b >= c) order[0] = 0, order[1] = 1, order[2] = 2;
        else if (a >= c) order[0] = 0, order[1] = 2, order[2] = 1;
        else order[0] = 2, order[1] = 0, order[2] = 1;
    } else if (b >= c) {
        if (a >= c) order[0] = 1, order[1] = 0, order[2] = 2;
        else order[0] = 1, order[1] = 2, order[2] = 0;
    } else {
        order[0] = 2, order[1] = 1, order[2] = 0;
    }
    float p = part[order[0]], q = part[order[1]], r = part[order[2]];
    int first = base + strides[order[0]];
    int second = first + strides[order[1]];
    int last = base + strides[0] + strides[1] + 1;
    float w0 = 1.0f - p, w1 = p - q, w2 = q - r;
    for (int i = 0; i < 3; i++) {
        out[i] = points[3 * base + i] * w0 + points[3 * first + i] * w1 + points[3 * second + i] * w2 +
                 points[3 * last + i] * r;
    }
}
#endif

#if F_LUT
__device__ inline float placed(float value, float low, float high, int last) {
    float place = fmaxf((value - low) / (high - low), 0.0f);
    return place < 1.0f ? place * (float)last : (float)last;
}

// A curve, a cube, or both: see `lut/cube.rs`. Each table begins with its domain.
__device__ void looked_up(const Step &step, float *rgb) {
    if (step.count[0]) {
        const float *domain = (const float *)step.table[0], *points = domain + 6;
        int last = step.count[0] - 1;
        for (int i = 0; i < 3; i++) {
            float place = placed(rgb[i], domain[i], domain[3 + i], last);
            int cell = least((int)place, last - 1);
            float a = points[3 * cell + i], b = points[3 * cell + 3 + i];
            rgb[i] = a + (b - a) * (place - (float)cell);
        }
    }
    if (step.count[1]) {
        const float *domain = (const float *)step.table[1], *points = domain + 6;
        int side = step.count[1], cell[3];
        float part[3];
        for (int k = 0; k < 3; k++) {
            int i = 2 - k; // blue is slowest
            float place = placed(rgb[i], domain[i], domain[3 + i], side - 1);
            cell[k] = least((int)place, side - 2);
            part[k] = place - (float)cell[k];
        }
        tetrahedral(points, side, cell, part, rgb);
    }
}
#endif

#if F_LIGHT
#define CURVE 4096

__device__ inline float curve(const float *points, float value) {
    float place = heldf(value, 0.0f, 1.0f) * (float)CURVE;
    int cell = least((int)place, CURVE);
    return points[2 * cell] + points[2 * cell + 1] * (place - (float)cell);
}

// From HDR into standard range: see `light.rs`, `Down::run`, and `Down::device_table` for the blob.
__device__ void brought_down(const float *blob, float *codes) {
    const float *to_rgb = blob, *to_codes = blob + 12, *primaries = blob + 24;
    const float *own = blob + 36, *tone = own + 2 * (CURVE + 1), *out = tone + 2 * (CURVE + 1);
    float rgb[3], shown[3];
    for (int i = 0; i < 3; i++) {
        const float *row = to_rgb + 4 * i;
        rgb[i] = curve(own, row[0] * codes[0] + row[1] * codes[1] + row[2] * codes[2] + row[3]);
    }
    if (blob[33] != 0.0f) {
        float bright = 0.2627f * rgb[0] + 0.6780f * rgb[1] + 0.0593f * rgb[2];
        float gain = powf(fmaxf(bright, 0.0f), 0.2f);
        for (int i = 0; i < 3; i++) rgb[i] *= gain;
    }
    float peak = fmaxf(fmaxf(rgb[0], rgb[1]), rgb[2]);
    float gain = curve(tone, sqrtf(fmaxf(fminf(peak, 1.0f), 0.0f))) / fmaxf(peak, 1.0f);
    for (int i = 0; i < 3; i++) {
        const float *row = primaries + 3 * i;
        float light = (row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]) * gain;
        shown[i] = curve(out, sqrtf(heldf(light, 0.0f, 1.0f)));
    }
    for (int i = 0; i < 3; i++) {
        const float *row = to_codes + 4 * i;
        codes[i] = row[0] * shown[0] + row[1] * shown[1] + row[2] * shown[2] + row[3];
    }
}

__device__ void through_cube(const Step &step, float *codes) {
    int side = step.count[0], cell[3];
    float part[3];
    for (int i = 0; i < 3; i++) {
        float place = heldf(codes[i] * step.f[0], 0.0f, (float)(side - 1));
        cell[i] = least((int)place, side - 2);
        part[i] = place - (float)cell[i];
    }
    tetrahedral((const float *)step.table[0], side, cell, part, codes);
}
#endif

// A colour, in code values that are not covered by anything.
__device__ void changed(const Layer &layer, const Step &step, float *codes) {
#if F_LIGHT
    if (step.kind == LIGHT_DOWN) return brought_down((const float *)step.table[0], codes);
    if (step.kind == LIGHT_CUBE) return through_cube(step, codes);
#endif
#if F_GRADE || F_LUT
    float ycc[3], rgb[3];
    ycc[0] = (codes[0] - layer.luma[0]) / layer.luma[1];
    ycc[1] = (codes[1] - layer.chroma[0]) / layer.chroma[1];
    ycc[2] = (codes[2] - layer.chroma[0]) / layer.chroma[1];
    for (int i = 0; i < 3; i++) {
        const float *m = layer.back + i;
        rgb[i] = heldf(m[0] * ycc[0] + m[3] * ycc[1] + m[6] * ycc[2], 0.0f, 1.0f);
    }
#if F_GRADE
    if (step.kind == GRADE) {
        float out[3];
        for (int i = 0; i < 3; i++) {
            const float *m = step.f + 3 * i;
            out[i] = m[0] * rgb[0] + m[1] * rgb[1] + m[2] * rgb[2] + step.f[9 + i];
        }
        for (int i = 0; i < 3; i++) rgb[i] = out[i];
    }
#endif
#if F_LUT
    if (step.kind == LUT) looked_up(step, rgb);
#endif
    for (int i = 0; i < 3; i++) rgb[i] = heldf(rgb[i], 0.0f, 1.0f);
    for (int i = 0; i < 3; i++) {
        const float *m = layer.there + i;
        float v = m[0] * rgb[0] + m[3] * rgb[1] + m[6] * rgb[2];
        codes[i] = i ? layer.chroma[0] + layer.chroma[1] * v : layer.luma[0] + layer.luma[1] * v;
    }
#endif
}

// ---- a tile ----

#define TW 64
#if HALO > 2
#define TH 16
#else
#define TH 32
#endif
#define LW (TW + 4 * HALO)
#define LH (TH + 4 * HALO)
#define CW (TW / 2 + 2 * HALO)
#define CH (TH / 2 + 2 * HALO)

// A layer's samples around a tile; those of `part` (canvas samples) are there.
struct Tile {
    u16 *y, *a, *ac;  // luma, coverage for luma and chroma
    u16 *u[2], *v[2]; // chroma, and where its next values go
    int left, top;    // the canvas sample of element 0; chroma's is half of it
    Box whole;        // what the layer touches of the canvas
    int top_code;
};

__device__ inline int at(const Tile &t, int x, int y) { return (y - t.top) * LW + x - t.left; }
__device__ inline int atc(const Tile &t, int x, int y) {
    return (y - (t.top >> 1)) * CW + x - (t.left >> 1);
}

// Chroma at the place of luma sample (x, y), between the nearest: see `convert::chroma_line`. What lies
// beyond the layer counts as its edge.
__device__ inline float chroma_at(const Tile &t, const u16 *plane, int x, int y, int site) {
    Box c = half_of(t.whole);
    int k = x >> 1, row = y >> 1, odd = y & 1;
    float part;
    if (site == 2) {
        part = odd ? 0.5f : 0.0f;
    } else {
        part = odd ? 0.25f : 0.75f;
        row -= odd ? 0 : 1;
    }
    int upper = held(row, c.top, c.bottom - 1), lower = held(row + 1, c.top, c.bottom - 1);
    int beside = site == 1 && !(x & 1) ? most(k - 1, c.left) : least(k + 1, c.right - 1);
    float a = plane[atc(t, k, upper)], b = plane[atc(t, k, lower)];
    float own = a + (b - a) * part;
    if (site != 1 && !(x & 1)) return own;
    a = plane[atc(t, beside, upper)], b = plane[atc(t, beside, lower)];
    float next = a + (b - a) * part;
    return site == 1 ? own + (next - own) * 0.25f : (own + next) * 0.5f;
}

__device__ inline float share_of(const u16 *alpha, int at, int top) {
    return alpha ? (float)alpha[at] / (float)top : 1.0f;
}

// A colour that is covered by `share`: taken straight, changed, covered again.
__device__ inline void straight(const Layer &layer, const Step &step, float share, float *codes) {
    if (share >= 1.0f) return changed(layer, step, codes);
    float by = fmaxf(share, 1e-3f);
    for (int i = 0; i < 3; i++) codes[i] /= by;
    changed(layer, step, codes);
    for (int i = 0; i < 3; i++) codes[i] *= share;
}

// One colour step on `luma` (and chroma of half its size); `now` says where chroma is.
__device__ void coloured(const Tile &t, const Layer &layer, const Step &step, Box luma, bool has_alpha,
                         int site, int now) {
    const u16 *a = has_alpha ? t.a : nullptr, *ac = has_alpha ? t.ac : nullptr;
    const u16 *u = t.u[now], *v = t.v[now];
    EACH(x, y, half_of(luma)) {
        int i = atc(t, x, y);
        float near = (float)(t.y[at(t, 2 * x, 2 * y)] + t.y[at(t, 2 * x, 2 * y + 1)]) * 0.5f;
        float codes[3] = {near, (float)u[i], (float)v[i]};
#if F_MATRIX
        if (step.kind == MATRIX) {
            float zu = ac ? (float)ac[i] * (step.f[10] / (float)t.top_code) : step.f[10];
            float zv = ac ? (float)ac[i] * (step.f[11] / (float)t.top_code) : step.f[11];
            float made = codes[1] * step.f[4] + codes[2] * step.f[5] + zu;
            codes[2] = codes[2] * step.f[8] + codes[1] * step.f[7] + zv;
            codes[1] = made;
        } else
#endif
            straight(layer, step, share_of(ac, i, t.top_code), codes);
        t.u[1 - now][i] = (u16)code(codes[1], t.top_code);
        t.v[1 - now][i] = (u16)code(codes[2], t.top_code);
    }
    __syncthreads();
    EACH(x, y, luma) {
        int i = at(t, x, y);
        float codes[3] = {(float)t.y[i], chroma_at(t, u, x, y, site), chroma_at(t, v, x, y, site)};
#if F_MATRIX
        if (step.kind == MATRIX) {
            float zero = a ? (float)a[i] * (step.f[9] / (float)t.top_code) : step.f[9];
            float tint = codes[1] * step.f[1] + codes[2] * step.f[2];
            codes[0] = codes[0] * step.f[0] + tint + zero;
        } else
#endif
            straight(layer, step, share_of(a, i, t.top_code), codes);
        t.y[i] = (u16)code(codes[0], t.top_code);
    }
    __syncthreads();
}

#if F_VIGNETTE
__device__ inline int darkened(const Step &step, const Layer &layer, int x, int y, int cell, float zero,
                               float share, int value, int top) {
    float u = (layer.origin[0] + ((float)x + 0.5f) * (float)cell) / layer.size[0] - 0.5f;
    float v = (layer.origin[1] + ((float)y + 0.5f) * (float)cell) / layer.size[1] - 0.5f;
    float far = sqrtf(u * u + v * v) * 1.41421356f, radius = step.f[1];
    float t = heldf((far - radius) / (1.0f - radius), 0.0f, 1.0f);
    float left = 1.0f - step.f[0] * t * t * (3.0f - 2.0f * t), black = zero * share;
    return code(black + ((float)value - black) * left, top);
}

__device__ void vignette(const Tile &t, const Layer &layer, const Step &step, Box luma, bool has_alpha,
                         int now) {
    EACH(x, y, luma) {
        int i = at(t, x, y);
        float share = share_of(has_alpha ? t.a : nullptr, i, t.top_code);
        t.y[i] = (u16)darkened(step, layer, x - layer.x, y - layer.y, 1, layer.luma[0], share, t.y[i],
                               t.top_code);
    }
    EACH(x, y, half_of(luma)) {
        int i = atc(t, x, y), px = x - layer.x / 2, py = y - layer.y / 2;
        float share = share_of(has_alpha ? t.ac : nullptr, i, t.top_code), zero = layer.chroma[0];
        t.u[now][i] = (u16)darkened(step, layer, px, py, 2, zero, share, t.u[now][i], t.top_code);
        t.v[now][i] = (u16)darkened(step, layer, px, py, 2, zero, share, t.v[now][i], t.top_code);
    }
    __syncthreads();
}
#endif

#if F_KEY
__device__ inline int times(int value, int alpha, int top) { return (value * alpha + top / 2) / top; }

// See `effect/key.rs`. Coverage is made on `around`, everything else on `luma` within it.
__device__ void keyed(const Tile &t, const Layer &layer, const Step &step, Box around, Box luma, int site,
                      int now) {
    float zero = layer.chroma[0], span = layer.chroma[1];
    u16 *u = t.u[now], *v = t.v[now];
    EACH(x, y, around) {
        float cb = (chroma_at(t, u, x, y, site) - zero) / span - step.f[0];
        float cr = (chroma_at(t, v, x, y, site) - zero) / span - step.f[1];
        float s = heldf((sqrtf(cb * cb + cr * cr) - step.f[2]) / step.f[3], 0.0f, 1.0f);
        t.a[at(t, x, y)] = (u16)code(s * s * (3.0f - 2.0f * s) * (float)t.top_code, t.top_code);
    }
    __syncthreads();
    int last = t.whole.right - 1;
    EACH(x, y, half_of(luma)) {
        int i = atc(t, x, y), sum = 0;
        for (int r = -1; r < 2; r++) {
            int wr = site == 2 ? 2 - (r ? 1 : 0) : (r < 0 ? 0 : 2);
            if (!wr) continue;
            for (int c = -1; c < 2; c++) {
                int wc = site != 1 ? 2 - (c ? 1 : 0) : (c < 0 ? 0 : 2);
                if (!wc) continue;
                int sx = held(2 * x + c, t.whole.left, last), sy = most(2 * y + r, t.whole.top);
                sum += t.a[at(t, sx, sy)] * wr * wc;
            }
        }
        int alpha = held((sum + 8) >> 4, 0, t.top_code);
        t.ac[i] = (u16)alpha;
        float b = ((float)u[i] - zero) / span, r = ((float)v[i] - zero) / span;
        float spilt = fmaxf(b * step.f[5] + r * step.f[6], 0.0f) * step.f[4];
        int cb = code(zero + span * (b - spilt * step.f[5]), t.top_code);
        int cr = code(zero + span * (r - spilt * step.f[6]), t.top_code);
        u[i] = (u16)times(cb, alpha, t.top_code);
        v[i] = (u16)times(cr, alpha, t.top_code);
    }
    __syncthreads();
    EACH(x, y, luma) { t.y[at(t, x, y)] = (u16)times(t.y[at(t, x, y)], t.a[at(t, x, y)], t.top_code); }
    __syncthreads();
}
#endif

#if F_ROTATE
// The cubic at a place of a plane; beyond the edge the edge goes on: see `turn.rs`.
__device__ float sampled(const Plane &p, double px, double py, const float *phases) {
    double fx = floor(px), fy = floor(py);
    const float *wx = phases + 4 * least((int)((px - fx) * 256.0 + 0.5), 256);
    const float *wy = phases + 4 * least((int)((py - fy) * 256.0 + 0.5), 256);
    int x = (int)fx - 1, y = (int)fy - 1;
    float sum = 0.0f;
    for (int j = 0; j < 4; j++) {
        int row = held(y + j, 0, p.height - 1);
        float line = 0.0f;
        for (int i = 0; i < 4; i++) line += (float)load(p, held(x + i, 0, p.width - 1), row) * wx[i];
        sum += line * wy[j];
    }
    return sum;
}

// How much of the target sample in column n and row m (from the part's begin) is covered.
__device__ inline float soft(double d, double size, double cell) {
    double inner = fmin(d / cell + 0.5, (size - d) / cell + 0.5);
    return (float)fmax(fmin(inner, fmin(size, 1.0)), 0.0);
}

// A sample of a turned layer over `under` and, where there is one, `beneath` (coverage).
__device__ void over_turned(const Layer &layer, int plane, int n, int m, const float *phases, int top,
                            u16 *under, u16 *beneath) {
    int half = plane > 0;
    double cell = half ? 2.0 : 1.0, x = n, y = m, sin = layer.turn[0], cos = layer.turn[1];
    double u = layer.middle[half][0] + (cos * x + sin * y) * cell;
    double v = layer.middle[half][1] + (cos * y - sin * x) * cell;
    float there = soft(u, layer.whole[0], cell) * soft(v, layer.whole[1], cell) * fminf(layer.opacity, 1.0f);
    if (there <= 0.0f) return;
    double px = layer.place[half][0] + layer.dx[0] * x + layer.dy[0] * y;
    double py = layer.place[half][1] + layer.dx[1] * x + layer.dy[1] * y;
    float share = there;
    const Plane &own = layer.plane[3 + half];
    if (own.base) share *= heldf(sampled(own, px, py, phases) / (float)top, 0.0f, 1.0f);
    float value = sampled(layer.plane[plane], px, py, phases) * there;
    *under = (u16)code((float)*under * (1.0f - share) + value, top);
    if (beneath) *beneath = (u16)code((float)*beneath * (1.0f - share) + share * (float)top, top);
}
#endif

// The canvas's samples of a tile.
struct Held {
    u16 *y, *u, *v, *a, *ac;
};

// `made` over the canvas's sample `at` of a plane.
__device__ inline void blended(u16 *under, int made, int alpha, bool has_alpha, const Layer &layer,
                               float all, float column, int top) {
    if (layer.raw) {
        *under = (u16)made;
    } else if (has_alpha) {
        *under = (u16)over_covered(*under, made, alpha, all, column, top);
    } else {
        *under = (u16)over_opaque(*under, made, all, column, top);
    }
}

extern "C" __global__ void __launch_bounds__(256) compose(const __grid_constant__ Compose p) {
    __shared__ u16 held_y[TW * TH], held_u[TW * TH / 4], held_v[TW * TH / 4];
    __shared__ u16 lay_y[LW * LH], lay_u[2][CW * CH], lay_v[2][CW * CH];
#if F_COVER || F_KEY
    __shared__ u16 held_a[TW * TH], held_ac[TW * TH / 4], lay_a[LW * LH], lay_ac[CW * CH];
#else
    u16 *held_a = nullptr, *held_ac = nullptr, *lay_a = nullptr, *lay_ac = nullptr;
#endif
#if F_SCALE
    __shared__ i16 words[WORDS];
#else
    i16 *words = nullptr;
#endif
    const int left = (int)blockIdx.x * TW, top = (int)blockIdx.y * TH;
    const Box tile = {left, top, least(left + TW, p.width), least(top + TH, p.height)};
    const int top_code = top_of(p.up);
    const bool canvas_alpha = (F_COVER || F_KEY) && p.canvas[3].base != 0;
    Held h = {held_y, held_u, held_v, held_a, held_ac};

    // What lies under a layer that hides all of the tile is not looked at.
    int first = 0;
    bool hidden = false;
    for (int l = 0; l < p.count; l++) {
        const Layer &layer = p.layers[l];
        if (layer.opaque && layer.x <= tile.left && layer.y <= tile.top &&
            layer.x + layer.width >= tile.right && layer.y + layer.height >= tile.bottom) {
            first = l;
            hidden = true;
        }
    }
    if (!hidden) {
        EACH(x, y, tile) {
            int i = (y - top) * TW + x - left;
            h.y[i] = (u16)(p.clear ? p.ground[0] : load(p.canvas[0], x, y));
            if (canvas_alpha) h.a[i] = (u16)(p.clear ? 0 : load(p.canvas[3], x, y));
        }
        EACH(x, y, half_of(tile)) {
            int i = (y - top / 2) * (TW / 2) + x - left / 2;
            h.u[i] = (u16)(p.clear ? p.ground[1] : load(p.canvas[1], x, y));
            h.v[i] = (u16)(p.clear ? p.ground[2] : load(p.canvas[2], x, y));
            if (canvas_alpha) h.ac[i] = (u16)(p.clear ? 0 : load(p.canvas[4], x, y));
        }
    }
    __syncthreads();

    for (int l = first; l < p.count; l++) {
        const Layer &layer = p.layers[l];
        const Box whole = {layer.x, layer.y, layer.x + layer.width, layer.y + layer.height};
        const Box on = {most(tile.left, whole.left), most(tile.top, whole.top),
                        least(tile.right, whole.right), least(tile.bottom, whole.bottom)};
        if (empty(on)) continue;
#if F_ROTATE
        if (layer.turned) {
            const float *phases = (const float *)p.phases;
            EACH(x, y, on) {
                int i = (y - top) * TW + x - left;
                over_turned(layer, 0, x - layer.x, y - layer.y, phases, top_code, h.y + i,
                            canvas_alpha ? h.a + i : nullptr);
            }
            EACH(x, y, half_of(on)) {
                int i = (y - top / 2) * (TW / 2) + x - left / 2;
                int n = x - layer.x / 2, m = y - layer.y / 2;
                over_turned(layer, 1, n, m, phases, top_code, h.u + i, canvas_alpha ? h.ac + i : nullptr);
                over_turned(layer, 2, n, m, phases, top_code, h.v + i, nullptr);
            }
            __syncthreads();
            continue;
        }
#endif
        Tile t = {lay_y, lay_a, lay_ac, {lay_u[0], lay_u[1]}, {lay_v[0], lay_v[1]},
                  left - 2 * HALO, top - 2 * HALO, whole, top_of(layer.work_up)};
        int halo = HALO ? layer.halo : 0, now = 0;
        // The part of the layer that is within so many chroma samples of the tile.
        auto within = [&](int chroma) {
            Box box = {most(tile.left - 2 * chroma, whole.left), most(tile.top - 2 * chroma, whole.top),
                       least(tile.right + 2 * chroma, whole.right),
                       least(tile.bottom + 2 * chroma, whole.bottom)};
            return box;
        };
        const Box around = within(halo), around_c = half_of(around);
        const int ups[2] = {layer.in_up, layer.work_up};
        bool has_alpha = (F_COVER || F_KEY) && layer.plane[3].base != 0;
        const int cx = layer.x / 2, cy = layer.y / 2;
        resized(layer.plane[0], layer.axis[0], layer.axis[1], around, layer.x, layer.y, ups, t.y, LW,
                t.left, t.top, words);
        resized(layer.plane[1], layer.axis[2], layer.axis[3], around_c, cx, cy, ups, t.u[0], CW,
                t.left / 2, t.top / 2, words);
        resized(layer.plane[2], layer.axis[2], layer.axis[3], around_c, cx, cy, ups, t.v[0], CW,
                t.left / 2, t.top / 2, words);
#if F_COVER
        if (has_alpha) {
            resized(layer.plane[3], layer.axis[0], layer.axis[1], around, layer.x, layer.y, ups, t.a, LW,
                    t.left, t.top, words);
            resized(layer.plane[4], layer.axis[2], layer.axis[3], around_c, cx, cy, ups, t.ac, CW,
                    t.left / 2, t.top / 2, words);
            if (layer.in_up != layer.work_up) {
                // 255 times four is not 1023: coverage is stretched to stay whole.
                __syncthreads();
                int full = (top_of(layer.in_up) << layer.in_up) >> layer.work_up;
                EACH(x, y, around) {
                    u16 &a = t.a[at(t, x, y)];
                    a = (u16)held((a * t.top_code + full / 2) / full, 0, t.top_code);
                }
                EACH(x, y, around_c) {
                    u16 &a = t.ac[atc(t, x, y)];
                    a = (u16)held((a * t.top_code + full / 2) / full, 0, t.top_code);
                }
            }
        }
#endif
        __syncthreads();
        for (int s = layer.first_step; s < layer.first_step + layer.steps; s++) {
            const Step &step = p.steps[s];
#if F_VIGNETTE
            if (step.kind == VIGNETTE) {
                vignette(t, layer, step, within(halo), has_alpha, now);
                continue;
            }
#endif
#if F_KEY
            if (step.kind == KEY) {
                keyed(t, layer, step, within(halo - 1), within(halo - 2), p.site, now);
                halo -= 2;
                has_alpha = true;
                continue;
            }
#endif
            coloured(t, layer, step, within(halo - 1), has_alpha, p.site, now);
            halo -= 1;
            now = 1 - now;
        }

        const float opacity = fminf(layer.opacity, 1.0f);
        const bool narrow = layer.work_up < p.up;
        auto narrowed = [&](int v) { return narrow ? held(((v << 4) + 32) >> 6, 0, 255) : v; };
        EACH(x, y, on) {
            int i = (y - top) * TW + x - left, j = at(t, x, y);
            float all = covered(layer.edge + 2, y - layer.y, 1, layer.height) * opacity;
            float column = covered(layer.edge, x - layer.x, 1, layer.width);
            int alpha = has_alpha ? narrowed(t.a[j]) : top_code;
            if (all <= 0.0f && !layer.raw) continue;
            blended(h.y + i, narrowed(t.y[j]), alpha, has_alpha, layer, all, column, top_code);
            if (canvas_alpha) blended(h.a + i, alpha, alpha, has_alpha, layer, all, column, top_code);
        }
        EACH(x, y, half_of(on)) {
            int i = (y - top / 2) * (TW / 2) + x - left / 2, j = atc(t, x, y);
            float all = covered(layer.edge + 2, y - cy, 2, layer.height) * opacity;
            float column = covered(layer.edge, x - cx, 2, layer.width);
            int alpha = has_alpha ? narrowed(t.ac[j]) : top_code;
            if (all <= 0.0f && !layer.raw) continue;
            blended(h.u + i, narrowed(t.u[now][j]), alpha, has_alpha, layer, all, column, top_code);
            blended(h.v + i, narrowed(t.v[now][j]), alpha, has_alpha, layer, all, column, top_code);
            if (canvas_alpha) blended(h.ac + i, alpha, alpha, has_alpha, layer, all, column, top_code);
        }
        __syncthreads();
    }

    EACH(x, y, tile) {
        int i = (y - top) * TW + x - left;
        store(p.canvas[0], x, y, h.y[i]);
        if (canvas_alpha) store(p.canvas[3], x, y, h.a[i]);
    }
    EACH(x, y, half_of(tile)) {
        int i = (y - top / 2) * (TW / 2) + x - left / 2;
        store(p.canvas[1], x, y, h.u[i]);
        store(p.canvas[2], x, y, h.v[i]);
        if (canvas_alpha) store(p.canvas[4], x, y, h.ac[i]);
    }
}

#endif // PART < 2

