// One pass from a set's uint8 images to a batch: gather, crop or zoom (bilinear; masks: nearest), flip, normalise. Where an
// output pixel lies in its image is given by row and by column, so that a row is blended once and then sampled.
//
// Bit for bit what augment.py does in several passes: the same float32 operations in the same order (no contraction).
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

struct Batch {  // field by field as in fused.py
  int64_t images, channels, height, width, out_height, out_width, ignore_index;
};

namespace {

constexpr int64_t LANES = 16;  // of a register

struct Axis {  // of one image: the source pixels of its output rows, or of its output columns
  std::vector<int32_t> low, nearest;
  std::vector<float> weight;   // of the pixel after low
  std::vector<int32_t> first;  // the lowest of every LANES
  bool dense = true;           // the pixels of every LANES lie in two registers
  int64_t begin = 0, end = 0;  // what lies inside of the image
  int32_t step = 0;            // 1, -1: the pixels as they are, in order or in reverse

  Axis(const float* source, int64_t count, int64_t length) : low(count), nearest(count), weight(count) {
    const float last = static_cast<float>(length - 1);
    bool exact = true, forward = true, backward = true;
    for (int64_t i = 0; i < count; ++i) {
      const float position = std::min(std::max(source[i] - 0.5f, 0.0f), last), floor = std::floor(position);
      low[i] = static_cast<int32_t>(floor);
      weight[i] = position - floor;
      nearest[i] = static_cast<int32_t>(std::min(std::max(std::floor(source[i]), 0.0f), last));
      if (source[i] >= 0 && source[i] < static_cast<float>(length)) {
        if (begin == end) begin = i;
        else forward &= low[i] == low[i - 1] + 1, backward &= low[i] == low[i - 1] - 1;
        end = i + 1;
        exact &= weight[i] == 0;
      }
    }
    if (exact) step = forward ? 1 : backward ? -1 : 0;
    for (int64_t i = begin; i < end; i += LANES) {
      const auto [least, most] = std::minmax(low[i], low[std::min(i + LANES, end) - 1]);
      first.push_back(least);
      dense &= most + 1 - least < 2 * LANES;
    }
  }
};

void blend(const uint8_t* top, const uint8_t* bottom, float weight, int64_t count, float* row) {
  if (weight == 0) {
    for (int64_t k = 0; k < count; ++k) row[k] = top[k];
    return;
  }
  for (int64_t k = 0; k < count; ++k) {
    const float a = top[k], b = bottom[k];
    row[k] = a + weight * (b - a);
  }
}

// out[j] = (row[low] + weight · (row[low + 1] − row[low])) · s − t
void sample(const Axis& x, const float* row, float s, float t, float* out) {
#ifdef __AVX512F__
  if (x.dense) {
    const __m512 scale = _mm512_set1_ps(s), shift = _mm512_set1_ps(t);
    const __m512i one = _mm512_set1_epi32(1);
    for (int64_t j = x.begin, block = 0; j < x.end; j += LANES, ++block) {
      const __mmask16 lanes = 0xffff >> std::max<int64_t>(j + LANES - x.end, 0);
      const float* source = row + x.first[block];
      const __m512 head = _mm512_loadu_ps(source), tail = _mm512_loadu_ps(source + LANES);
      const __m512i low = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(lanes, &x.low[j]), _mm512_set1_epi32(x.first[block]));
      const __m512 a = _mm512_permutex2var_ps(head, low, tail);
      const __m512 b = _mm512_permutex2var_ps(head, _mm512_add_epi32(low, one), tail);
      const __m512 weight = _mm512_maskz_loadu_ps(lanes, &x.weight[j]);
      const __m512 value = _mm512_add_ps(a, _mm512_mul_ps(weight, _mm512_sub_ps(b, a)));
      _mm512_mask_storeu_ps(out + j, lanes, _mm512_sub_ps(_mm512_mul_ps(value, scale), shift));
    }
    return;
  }
#endif
  const int32_t* low = x.low.data();
  const float* weight = x.weight.data();
  for (int64_t j = x.begin; j < x.end; ++j) {
    const float a = row[low[j]], b = row[low[j] + 1];
    out[j] = (a + weight[j] * (b - a)) * s - t;
  }
}

void image(const Batch& batch, const uint8_t* pixels, const Axis& y, const Axis& x, const float* scale,
           const float* shift, std::vector<float>& row, float* out) {
  const int64_t inside = x.end - x.begin, w = batch.out_width;
  const auto [first, last] = std::minmax_element(x.low.begin() + x.begin, x.low.begin() + x.end);
  const int64_t from = inside ? *first : 0, count = inside ? std::min<int64_t>(*last + 2, batch.width) - from : 0;
  for (int64_t c = 0; c < batch.channels; ++c, pixels += batch.height * batch.width) {
    const float s = scale[c], t = shift[c], black = 0.0f * s - t;
    for (int64_t i = 0; i < batch.out_height; ++i, out += w) {
      if (i < y.begin || i >= y.end || inside == 0) {
        std::fill(out, out + w, black);
        continue;
      }
      const uint8_t* top = pixels + y.low[i] * batch.width;
      const uint8_t* bottom = y.low[i] + 1 < batch.height ? top + batch.width : top;
      std::fill(out, out + x.begin, black);
      std::fill(out + x.end, out + w, black);
      if (x.step != 0 && y.weight[i] == 0) {
        const uint8_t* source = top + x.low[x.begin];
        float* part = out + x.begin;
        if (x.step == 1)
          for (int64_t j = 0; j < inside; ++j) part[j] = static_cast<float>(source[j]) * s - t;
        else
          for (int64_t j = 0; j < inside; ++j) part[j] = static_cast<float>(source[-j]) * s - t;
        continue;
      }
      blend(top + from, bottom + from, y.weight[i], count, row.data() + from);
      row[from + count] = row[from + count - 1];  // beside the last pixel, where its neighbour's weight is 0
      sample(x, row.data(), s, t, out);
    }
  }
}

void mask(const Batch& batch, const uint8_t* ids, const Axis& y, const Axis& x, int64_t* out) {
  const int64_t w = batch.out_width;
  std::vector<uint8_t> row(w);  // sampled, then widened: two quick loops
  for (int64_t i = 0; i < batch.out_height; ++i, out += w) {
    if (i < y.begin || i >= y.end) {
      std::fill(out, out + w, batch.ignore_index);
      continue;
    }
    if (i == y.begin || y.nearest[i] != y.nearest[i - 1]) {
      const uint8_t* source = ids + y.nearest[i] * batch.width;
      for (int64_t j = x.begin; j < x.end; ++j) row[j] = source[x.nearest[j]];
    }
    std::fill(out, out + x.begin, batch.ignore_index);
    std::copy(row.begin() + x.begin, row.begin() + x.end, out + x.begin);
    std::fill(out + x.end, out + w, batch.ignore_index);
  }
}

}  // namespace

// images (M, C, H, W) and masks (M, H, W) or null; index (N,) or null: 0, 1, …; y (N, h) and x (N, w): in pixels of the
// source, its edge at 0; scale, shift (C,); out (N, C, h, w), out_masks (N, h, w).
extern "C" void augment(const Batch* batch, const uint8_t* images, const uint8_t* masks, const int64_t* index,
                        const float* y, const float* x, const float* scale, const float* shift, float* out,
                        int64_t* out_masks) {
  const Batch& b = *batch;
  const int64_t plane = b.height * b.width, out_plane = b.out_height * b.out_width;
  at::parallel_for(0, b.images, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> row(b.width + 2 * LANES);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t source = index ? index[n] : n;
      const Axis rows(y + n * b.out_height, b.out_height, b.height), columns(x + n * b.out_width, b.out_width, b.width);
      image(b, images + source * b.channels * plane, rows, columns, scale, shift, row, out + n * b.channels * out_plane);
      if (masks) mask(b, masks + source * plane, rows, columns, out_masks + n * out_plane);
    }
  });
}
