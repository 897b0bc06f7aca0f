// What is done to whole planes: blurs, transitions, tensors, and what shot detectors look at.

#if PART == 0 || PART == 3
// ---- passes over one plane, for blurs: across into words, down into samples ----

extern "C" __global__ void __launch_bounds__(256) resample_across(const __grid_constant__ Resample p) {
    STRIDE(n, p.width * p.height) {
        int x = n % p.width, y = n / p.width;
        ((i16 *)p.words)[n] = (i16)across(p.from, p.axis, x, y, p.up);
    }
}

extern "C" __global__ void __launch_bounds__(256) resample_down(const __grid_constant__ Resample p) {
    STRIDE(n, p.width * p.to.height) {
        int x = n % p.width, y = n / p.width, first = first_of(p.axis, y), sum;
        const i16 *column = (const i16 *)p.words + (i64)first * p.width + x;
        if (p.axis.taps) {
            const i16 *weights = weights_of(p.axis, y);
            sum = 0;
            for (int k = 0; k < p.axis.taps; k++) sum += column[(i64)k * p.width] * weights[k];
        } else {
            sum = column[0] << 14;
        }
        store(p.to, x, y, rounded(sum, p.up));
    }
}

// `to` with `amount` of its difference to `from`, which is itself blurred.
extern "C" __global__ void __launch_bounds__(256) sharpen(const __grid_constant__ Resample p) {
    STRIDE(n, p.width * p.height) {
        int x = n % p.width, y = n / p.width;
        int own = load(p.to, x, y), soft = load(p.from, x, y);
        store(p.to, x, y, held(own + (((own - soft) * p.amount + 128) >> 8), 0, top_of(p.up)));
    }
}

// ---- transitions: see `transition/` ----

enum { DISSOLVE, DIP, WIPE, SLIDE, PUSH, ZOOM, CIRCLE_OPEN, CIRCLE_CLOSE, BARN_DOOR, CLOCK, ALL_A, ALL_B };
enum { TO_LEFT, TO_RIGHT, TO_TOP, TO_BOTTOM };

__device__ inline float smooth_step(float low, float high, float x) {
    float t = heldf((x - low) / (high - low), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

__device__ inline int moved(int length, float progress) {
    return length - least((int)((float)length * (1.0f - progress)), length);
}

__device__ inline int shaped(const Plane &a, const Plane &b, int x, int y, float share, int top) {
    float from = (float)load(a, x, y), to = (float)load(b, x, y);
    return code(from + (to - from) * share, top);
}

__device__ inline int summed(const Plane &a, const Plane &b, int x, int y, float wa, float wb, int colour,
                             int top) {
    int one = 1 << 14, va = (int)floorf(wa * (float)one + 0.5f), vb = (int)floorf(wb * (float)one + 0.5f);
    int shift = colour * most(one - va - vb, 0) + one / 2;
    return held((load(a, x, y) * va + load(b, x, y) * vb + shift) >> 14, 0, top);
}

__device__ int between(const Transition &p, int k, int x, int y) {
    const Plane &a = p.a[k], &b = p.b[k];
    const int w = a.width, h = a.height, top = top_of(p.up);
    const float progress = p.progress, left = 1.0f - progress;
    switch (p.kind) {
    case ALL_A:
        return load(a, x, y);
    case ALL_B:
        return load(b, x, y);
    case DISSOLVE:
        return summed(a, b, x, y, 1.0f - progress, progress, 0, top);
    case DIP: {
        float first = smooth_step(0.8f, 1.0f, left) * left;
        float second = (1.0f - smooth_step(0.2f, 1.0f, left)) * progress;
        return summed(a, b, x, y, first, second, p.colour[k], top);
    }
    case WIPE: {
        bool shows = p.direction == TO_LEFT    ? x >= w - moved(w, progress)
                     : p.direction == TO_RIGHT ? x < moved(w, progress)
                     : p.direction == TO_TOP   ? y >= h - moved(h, progress)
                                               : y < moved(h, progress);
        return load(shows ? b : a, x, y);
    }
    case SLIDE:
    case PUSH: {
        int across = moved(w, progress), down = moved(h, progress), push = p.kind == PUSH;
        switch (p.direction) {
        case TO_LEFT:
            return x < w - across ? load(a, x + push * across, y) : load(b, x - (w - across), y);
        case TO_RIGHT:
            return x < across ? load(b, x + w - across, y) : load(a, x - push * across, y);
        case TO_TOP:
            return y < h - down ? load(a, x, y + push * down) : load(b, x, y - (h - down));
        default:
            return y >= down ? load(a, x, y - push * down) : load(b, x, y + h - down);
        }
    }
    case ZOOM: {
        float size = smooth_step(0.5f, 1.0f, left), first = smooth_step(0.0f, 0.5f, left);
        float mx = ((float)w - 1.0f) / 2.0f, my = ((float)h - 1.0f) / 2.0f;
        float px = heldf(mx + ((float)x - mx) * size, 0.0f, (float)w - 1.0f);
        float py = heldf(my + ((float)y - my) * size, 0.0f, (float)h - 1.0f);
        int l = (int)px, u = (int)py, r = least(l + 1, w - 1), d = least(u + 1, h - 1);
        float side = px - (float)l, part = py - (float)u;
        float ul = (float)load(a, l, u), ur = (float)load(a, r, u);
        float dl = (float)load(a, l, d), dr = (float)load(a, r, d);
        float above = ul + (ur - ul) * side, below = dl + (dr - dl) * side;
        float zoomed = above + (below - above) * part, next = (float)load(b, x, y);
        return code(next + (zoomed - next) * first, top);
    }
    case CIRCLE_OPEN:
    case CIRCLE_CLOSE: {
        bool closes = p.kind == CIRCLE_CLOSE;
        float mx = (float)(w / 2), my = (float)(h / 2);
        float grown = (0.5f - (closes ? 1.0f - progress : progress)) * 3.0f;
        float far = hypotf((float)x - mx, (float)y - my) / hypotf(mx, my) + grown;
        float outside = smooth_step(0.0f, 1.0f, far);
        return shaped(a, b, x, y, closes ? outside : 1.0f - outside, top);
    }
    case BARN_DOOR: {
        float middle = (float)(w / 2);
        float place = 2.0f - fabsf(((float)x - middle) / middle) - (1.0f - progress) * 2.0f;
        return shaped(a, b, x, y, smooth_step(0.0f, 1.0f, place), top);
    }
    default: {
        float mx = ((float)w - 1.0f) / 2.0f, my = ((float)h - 1.0f) / 2.0f;
        float turn = atan2f((float)x - mx, my - (float)y) / 6.28318530717958647692f;
        if (turn < 0.0f) turn += 1.0f;
        return shaped(a, b, x, y, smooth_step(0.0f, 0.05f, progress * 1.05f - turn), top);
    }
    }
}

extern "C" __global__ void __launch_bounds__(256) transition(const __grid_constant__ Transition p) {
    const int luma = p.out[0].width * p.out[0].height, chroma = p.out[1].width * p.out[1].height;
    STRIDE(n, luma + 2 * chroma) {
        int k = n < luma ? 0 : n < luma + chroma ? 1 : 2;
        int i = n - (k == 0 ? 0 : k == 1 ? luma : luma + chroma);
        int x = i % p.out[k].width, y = i / p.out[k].width;
        store(p.out[k], x, y, between(p, k, x, y));
    }
}

// ---- pictures for embedders ----

__device__ inline u16 to_half(float v) {
    // IEEE 754 binary16, to the nearest, ties to even. Inputs are finite and far inside its range.
    union { float f; u32 u; } bits = {v};
    u32 sign = bits.u >> 16 & 0x8000, magnitude = bits.u & 0x7fffffff;
    if (magnitude >= 0x47800000) return (u16)(sign | 0x7c00);
    if (magnitude < 0x38800000) {
        bits.u = magnitude;
        bits.f += 0.5f; // the sum rounds to what a subnormal can hold
        return (u16)(sign | (bits.u - 0x3f000000));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (u16)(sign | (magnitude - 0x38000000) >> 13);
}

// R′G′B′ of a part of a picture, resized and normalised, plane after plane (NCHW).
extern "C" __global__ void __launch_bounds__(256) tensor(const __grid_constant__ Tensor p) {
    const int area = p.width * p.height;
    const float unit = 1.0f / (float)(1 << 14) / (float)(1 << p.up), top = (float)top_of(p.up);
    STRIDE(n, area) {
        int x = n % p.width, y = n / p.width;
        float codes[3];
        for (int k = 0; k < 3; k++) {
            int half = k > 0;
            int sum = direct(p.plane[k], p.axis[2 * half], p.axis[2 * half + 1], x, y, p.up);
            codes[k] = heldf((float)sum * unit, 0.0f, top);
        }
        float luma = (codes[0] - p.luma[0]) / p.luma[1];
        float cb = (codes[1] - p.chroma[0]) / p.chroma[1], cr = (codes[2] - p.chroma[0]) / p.chroma[1];
        for (int i = 0; i < 3; i++) {
            const float *m = p.back + i;
            float v = heldf(m[0] * luma + m[3] * cb + m[6] * cr, 0.0f, 1.0f);
            v = (v - p.mean[i]) * p.scale[i];
            if (p.half) ((u16 *)p.out)[(i64)i * area + n] = to_half(v);
            else ((float *)p.out)[(i64)i * area + n] = v;
        }
    }
}

// ---- what shot detectors look at ----

// How often each of 256 shades of luma occurs, added to `out`.
extern "C" __global__ void __launch_bounds__(256) histogram(const __grid_constant__ Look p) {
    __shared__ u32 bins[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) bins[i] = 0;
    __syncthreads();
    const Plane &luma = p.plane[0];
    STRIDE(n, luma.width * luma.height) {
        int v = load(luma, n % luma.width, n / luma.width);
        atomicAdd(&bins[luma.wide ? v >> 2 : v], 1u);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) {
        if (bins[i]) atomicAdd((u32 *)p.out + i, bins[i]);
    }
}

#define SMALL_W 48
#define SMALL_H 27

// A picture of 48 × 27, each value the mean of those it stands for, full range: one block for each
// value. See `media/small.rs`.
extern "C" __global__ void __launch_bounds__(64) small(const __grid_constant__ Look p) {
    __shared__ u32 total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    const int cell = (int)blockIdx.x % (SMALL_W * SMALL_H), k = (int)blockIdx.x / (SMALL_W * SMALL_H);
    const Plane &plane = p.plane[k];
    const int cx = cell % SMALL_W, cy = cell / SMALL_W;
    const int left = cx * plane.width / SMALL_W, top = cy * plane.height / SMALL_H;
    const int right = most((cx + 1) * plane.width / SMALL_W, left + 1);
    const int bottom = most((cy + 1) * plane.height / SMALL_H, top + 1);
    const int step = plane.height >= 8 * SMALL_H ? 2 : 1;
    const int rows = (bottom - top + step - 1) / step, columns = right - left;
    u32 sum = 0;
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
        int v = load(plane, left + i % columns, top + i / columns * step);
        sum += (u32)(plane.wide ? (v + 2) >> 2 : v);
    }
    atomicAdd(&total, sum);
    __syncthreads();
    if (threadIdx.x == 0) {
        u32 count = (u32)(rows * columns);
        int value = (int)((total + count / 2) / count);
        if (!p.full_range) {
            int low = k ? 128 : 16, span = k ? 224 : 219, wide = (value - low) * 255 * 2 / span;
            int sign = (wide > 0) - (wide < 0);
            value = held((wide + sign) / 2 + (k ? 128 : 0), 0, 255);
        }
        ((u8 *)p.out)[blockIdx.x] = (u8)least(value, 255);
    }
}

// Sums of absolute differences between two small pictures (`other` and the one before it in `plane[0]`),
// a number for each plane.
extern "C" __global__ void __launch_bounds__(256) difference(const __grid_constant__ Look p) {
    __shared__ u32 sums[3];
    if (threadIdx.x < 3) sums[threadIdx.x] = 0;
    if (blockDim.x < 3) sums[0] = sums[1] = sums[2] = 0;
    __syncthreads();
    const u8 *a = (const u8 *)p.plane[0].base, *b = (const u8 *)p.other;
    for (int i = threadIdx.x; i < 3 * SMALL_W * SMALL_H; i += blockDim.x) {
        int d = (int)a[i] - (int)b[i];
        atomicAdd(&sums[i / (SMALL_W * SMALL_H)], (u32)(d < 0 ? -d : d));
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 0; i < 3; i++) ((u32 *)p.out)[i] = sums[i];
    }
}
#endif // PART == 0 || PART == 3
