// Deformable convolution on CPU, NHWC. A tile of output pixels at a time is sampled into columns that stay in the cache
// and meet the weight in one matrix product; backward samples the same tile again instead of storing its columns.
//
// Results do not depend on the number of threads: work is cut into units by the problem's shape alone, each unit adds to
// memory of its own (a slab of images and a part of the channels), and the slabs are added up in their order.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

struct Problem {  // field by field as in cpp.py
  int64_t images, height, width, channels, out_height, out_width, out_channels;
  int64_t kernel_height, kernel_width, stride[2], padding[2], dilation[2], groups, offset_groups;
  int64_t offset_strides[4], mask_strides[4];  // N, channel, y, x; any layout
  int64_t block;         // input channels whose columns are made at a time; divides channels / groups
  int64_t tile;          // output pixels at a time
  int64_t slabs, parts;  // of backward: cuts of the images and of the blocks
  int64_t scratch;       // values a thread

  int64_t taps() const { return kernel_height * kernel_width; }
  int64_t blocks() const { return channels / block; }
  int64_t rows() const { return taps() * block; }  // of a block's matrix
  int64_t group_outputs() const { return out_channels / groups; }
  int64_t image_pixels() const { return out_height * out_width; }
  int64_t pixels() const { return images * image_pixels(); }
};

namespace {

constexpr int64_t STRIP = 64;  // pixels whose sampling positions are held at a time

// 64 bytes: one register, or as many as the machine needs for it.
template <typename T>
struct Wide {
  typedef T type __attribute__((vector_size(64)));
  static constexpr int64_t lanes = 64 / sizeof(T);
};

template <typename V, typename T>
inline V load(const T* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <typename V, typename T>
inline void store(T* to, V value) {
  std::memcpy(to, &value, sizeof(V));
}

template <typename T>
inline T sum(typename Wide<T>::type value) {
  T parts[Wide<T>::lanes];
  std::memcpy(parts, &value, sizeof(value));
  for (int64_t half = Wide<T>::lanes / 2; half; half /= 2)
    for (int64_t i = 0; i < half; ++i) parts[i] += parts[i + half];
  return parts[0];
}

inline int64_t cut(int64_t total, int64_t pieces, int64_t index) { return total * index / pieces; }

// Calls unit(index, worker) for every index, whichever worker comes first.
template <typename F>
void share_out(int64_t units, const F& unit) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(units, at::get_num_threads()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker)
      for (int64_t index = next++; index < units; index = next++) unit(index, worker);
  });
}

template <typename T>
at::Tensor matrix(const T* data, int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride = 1) {
  return at::from_blob(
      const_cast<T*>(data), {rows, columns}, {row_stride, column_stride}, at::CppTypeToScalarType<T>::value);
}

// Where the samples of a strip of pixels lie, for one offset group: [tap][pixel of the strip].
template <typename T>
struct Positions {
  int64_t count;
  int32_t row[STRIP], column[STRIP], image[STRIP];
  int64_t offset_at[STRIP], mask_at[STRIP];
  T *fraction_y, *fraction_x, *mask;
  int32_t* corner[4];  // pixel of x, −1 outside the image

  Positions(const Problem& p, T* memory) {
    const int64_t samples = p.taps() * STRIP;
    fraction_y = memory, fraction_x = memory + samples, mask = memory + 2 * samples;
    for (int i = 0; i < 4; ++i) corner[i] = reinterpret_cast<int32_t*>(memory + (3 + i) * samples);
  }

  void move_to(const Problem& p, int64_t first, int64_t pixels) {
    count = pixels;
    int64_t n = first / p.image_pixels(), y = first % p.image_pixels() / p.out_width, x = first % p.out_width;
    for (int64_t i = 0; i < count; ++i) {
      row[i] = y * p.stride[0] - p.padding[0];
      column[i] = x * p.stride[1] - p.padding[1];
      image[i] = n * p.height * p.width;
      const int64_t *o = p.offset_strides, *m = p.mask_strides;
      offset_at[i] = n * o[0] + y * o[2] + x * o[3];
      mask_at[i] = n * m[0] + y * m[2] + x * m[3];
      if (++x == p.out_width) x = 0, ++y;
      if (y == p.out_height) y = 0, ++n;
    }
  }

  void sample(const Problem& p, const T* offset, const T* masks, int64_t group) {
    const int32_t height = p.height, width = p.width;
    for (int64_t tap = 0; tap < p.taps(); ++tap) {
      const int32_t tap_row = tap / p.kernel_width * p.dilation[0], tap_column = tap % p.kernel_width * p.dilation[1];
      const int64_t channel = group * p.taps() + tap, at = tap * STRIP;
      const T* offset_y = offset + 2 * channel * p.offset_strides[1];
      const T* offset_x = offset_y + p.offset_strides[1];
      T *fy = fraction_y + at, *fx = fraction_x + at;
      for (int64_t i = 0; i < count; ++i) {
        fy[i] = T(row[i] + tap_row) + offset_y[offset_at[i]];
        fx[i] = T(column[i] + tap_column) + offset_x[offset_at[i]];
      }
      int32_t *c00 = corner[0] + at, *c01 = corner[1] + at, *c10 = corner[2] + at, *c11 = corner[3] + at;
      for (int64_t i = 0; i < count; ++i) {
        // Far outside is as good as just outside. What is not a number stays so as a fraction, and is outside as a corner.
        const T y = fy[i] < -2 ? T(-2) : fy[i] > height ? T(height) : fy[i];
        const T x = fx[i] < -2 ? T(-2) : fx[i] > width ? T(width) : fx[i];
        const T floor_y = std::floor(y), floor_x = std::floor(x);
        fy[i] = y - floor_y, fx[i] = x - floor_x;
        const int32_t top = floor_y >= -2 ? int32_t(floor_y) : -2, left = floor_x >= -2 ? int32_t(floor_x) : -2;
        const bool in_top = top >= 0 && top < height, in_bottom = top >= -1 && top < height - 1;
        const bool in_left = left >= 0 && left < width, in_right = left >= -1 && left < width - 1;
        const int32_t pixel = image[i] + top * width + left;
        c00[i] = in_top && in_left ? pixel : -1;
        c01[i] = in_top && in_right ? pixel + 1 : -1;
        c10[i] = in_bottom && in_left ? pixel + width : -1;
        c11[i] = in_bottom && in_right ? pixel + width + 1 : -1;
      }
      if (masks)
        for (int64_t i = 0; i < count; ++i) mask[at + i] = masks[mask_at[i] + channel * p.mask_strides[1]];
      else
        for (int64_t i = 0; i < count; ++i) mask[at + i] = 1;
    }
  }
};

// What one thread works with: columns, their gradient, positions, a pixel of zeros and one that takes what falls outside.
template <typename T>
struct Desk {
  T *zeros, *outside, *columns, *grad_columns;  // the last one in backward alone
  Positions<T> positions;

  Desk(const Problem& p, T* memory)
      : zeros(memory),
        outside(zeros + p.block),
        columns(outside + p.block + 7 * p.taps() * STRIP),
        grad_columns(columns + p.tile * p.rows()),
        positions(p, outside + p.block) {
    std::memset(zeros, 0, 2 * p.block * sizeof(T));
  }
};

// Calls visit(pixel of the tile, tap, sample, first channel, channels) for all samples of a tile and a block of channels.
template <typename T, typename F>
void for_samples(const Problem& p, Positions<T>& positions, const T* offset, const T* mask, int64_t first,
                 int64_t pixels, int64_t block, const F& visit) {
  const int64_t begin = block * p.block, end = begin + p.block, share = p.channels / p.offset_groups;
  for (int64_t strip = 0; strip < pixels; strip += STRIP) {
    positions.move_to(p, first + strip, std::min(STRIP, pixels - strip));
    for (int64_t group = begin / share; group * share < end; ++group) {
      const int64_t from = std::max(begin, group * share), to = std::min(end, (group + 1) * share);
      positions.sample(p, offset, mask, group);
      for (int64_t i = 0; i < positions.count; ++i)
        for (int64_t tap = 0; tap < p.taps(); ++tap) visit(strip + i, i, tap, group, from, to - from);
    }
  }
}

template <typename T>
void forward(const Problem& p, const T* x, const T* weight, const T* offset, const T* mask, T* out, T* scratch) {
  using V = typename Wide<T>::type;
  share_out((p.pixels() + p.tile - 1) / p.tile, [&](int64_t tile, int64_t worker) {
    Desk<T> desk(p, scratch + worker * p.scratch);
    const Positions<T>& at = desk.positions;
    const int64_t first = tile * p.tile, pixels = std::min(p.tile, p.pixels() - first);
    for (int64_t block = 0; block < p.blocks(); ++block) {
      auto visit = [&](int64_t pixel, int64_t i, int64_t tap, int64_t, int64_t channel, int64_t channels) {
        const int64_t s = tap * STRIP + i;
        const T *v[4], fy = at.fraction_y[s], fx = at.fraction_x[s], m = at.mask[s];
        const T w00 = (1 - fy) * (1 - fx) * m, w01 = (1 - fy) * fx * m, w10 = fy * (1 - fx) * m, w11 = fy * fx * m;
        for (int k = 0; k < 4; ++k) v[k] = at.corner[k][s] < 0 ? desk.zeros : x + at.corner[k][s] * p.channels + channel;
        T* to = desk.columns + pixel * p.rows() + tap * p.block + channel - block * p.block;
        auto blend = [&]<typename U>(int64_t c) {
          store(to + c, load<U>(v[0] + c) * w00 + load<U>(v[1] + c) * w01 + load<U>(v[2] + c) * w10 + load<U>(v[3] + c) * w11);
        };
        int64_t c = 0;
        for (; c + Wide<T>::lanes <= channels; c += Wide<T>::lanes) blend.template operator()<V>(c);
        for (; c < channels; ++c) blend.template operator()<T>(c);
      };
      for_samples(p, desk.positions, offset, mask, first, pixels, block, visit);
      const int64_t group = block * p.block * p.groups / p.channels, outputs = p.group_outputs();
      at::Tensor to = matrix(out + first * p.out_channels + group * outputs, pixels, outputs, p.out_channels);
      const bool starts = block * p.block % (p.channels / p.groups) == 0;
      at::addmm_out(to, to, matrix(desk.columns, pixels, p.rows(), p.rows()),
                    matrix(weight + block * p.rows() * outputs, p.rows(), outputs, outputs), starts ? 0 : 1);
    }
  });
}

// grad_x (NHWC), grad_offset and grad_mask (parts, NHWC) come zeroed; grad_weight is (slabs, as weight).
template <typename T>
void backward(const Problem& p, const T* x, const T* weight, const T* offset, const T* mask, const T* grad, T* grad_x,
              T* grad_weight, T* grad_offset, T* grad_mask, T* scratch) {
  using V = typename Wide<T>::type;
  const int64_t outputs = p.group_outputs(), weights = p.blocks() * p.rows() * outputs;
  const int64_t samples = p.offset_groups * p.taps();
  share_out(p.slabs * p.parts, [&](int64_t unit, int64_t worker) {
    Desk<T> desk(p, scratch + worker * p.scratch);
    const Positions<T>& at = desk.positions;
    const int64_t slab = unit / p.parts, part = unit % p.parts;
    const int64_t begin = cut(p.images, p.slabs, slab) * p.image_pixels();
    const int64_t end = cut(p.images, p.slabs, slab + 1) * p.image_pixels();
    for (int64_t first = begin; first < end; first += p.tile) {
      const int64_t pixels = std::min(p.tile, end - first);
      for (int64_t block = cut(p.blocks(), p.parts, part); block < cut(p.blocks(), p.parts, part + 1); ++block) {
        const int64_t group = block * p.block * p.groups / p.channels;
        at::Tensor by_pixel = matrix(grad + first * p.out_channels + group * outputs, pixels, outputs, p.out_channels);
        at::Tensor grad_columns = matrix(desk.grad_columns, pixels, p.rows(), p.rows());
        at::addmm_out(grad_columns, grad_columns, by_pixel,
                      matrix(weight + block * p.rows() * outputs, outputs, p.rows(), 1, outputs), 0);
        auto visit = [&](int64_t pixel, int64_t i, int64_t tap, int64_t offset_group, int64_t channel, int64_t channels) {
          const int64_t s = tap * STRIP + i, column = pixel * p.rows() + tap * p.block + channel - block * p.block;
          const T *v[4], fy = at.fraction_y[s], fx = at.fraction_x[s], m = at.mask[s], hy = 1 - fy, hx = 1 - fx;
          const T w00 = hy * hx * m, w01 = hy * fx * m, w10 = fy * hx * m, w11 = fy * fx * m;
          T* to[4];
          for (int k = 0; k < 4; ++k) {
            const int64_t at_pixel = at.corner[k][s] * p.channels + channel;
            v[k] = at.corner[k][s] < 0 ? desk.zeros : x + at_pixel;
            to[k] = at.corner[k][s] < 0 ? desk.outside : grad_x + at_pixel;
          }
          T* columns = desk.columns + column;
          const T* grads = desk.grad_columns + column;
          auto step = [&]<typename U>(int64_t c, U& along_y, U& along_x, U& along_mask) {
            const U g = load<U>(grads + c);
            const U v00 = load<U>(v[0] + c), v01 = load<U>(v[1] + c), v10 = load<U>(v[2] + c), v11 = load<U>(v[3] + c);
            const U top = v00 * hx + v01 * fx, bottom = v10 * hx + v11 * fx, value = top * hy + bottom * fy;
            store(columns + c, value * m);
            along_y += g * (bottom - top);
            along_x += g * ((v01 - v00) * hy + (v11 - v10) * fy);
            along_mask += g * value;
            store(to[0] + c, load<U>(to[0] + c) + g * w00);
            store(to[1] + c, load<U>(to[1] + c) + g * w01);
            store(to[2] + c, load<U>(to[2] + c) + g * w10);
            store(to[3] + c, load<U>(to[3] + c) + g * w11);
          };
          V wide_y{}, wide_x{}, wide_mask{};
          T along_y = 0, along_x = 0, along_mask = 0;
          int64_t c = 0;
          for (; c + Wide<T>::lanes <= channels; c += Wide<T>::lanes) step.template operator()<V>(c, wide_y, wide_x, wide_mask);
          for (; c < channels; ++c) step.template operator()<T>(c, along_y, along_x, along_mask);
          const int64_t sample = (part * p.pixels() + first + pixel) * samples + offset_group * p.taps() + tap;
          grad_offset[2 * sample] += (sum<T>(wide_y) + along_y) * m;
          grad_offset[2 * sample + 1] += (sum<T>(wide_x) + along_x) * m;
          if (mask) grad_mask[sample] += sum<T>(wide_mask) + along_mask;
        };
        for_samples(p, desk.positions, offset, mask, first, pixels, block, visit);
        at::Tensor to = matrix(grad_weight + slab * weights + block * p.rows() * outputs, p.rows(), outputs, outputs);
        at::addmm_out(to, to, matrix(desk.columns, p.rows(), pixels, 1, p.rows()), by_pixel, first > begin ? 1 : 0);
      }
    }
  });
}

template <typename F>
const char* said(const F& run) {
  thread_local std::string message;
  try {
    run();
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}

}  // namespace

#define ENTRY(NAME, T)                                                                                               \
  extern "C" const char* forward_##NAME(const Problem* p, const T* x, const T* weight, const T* offset, const T* mask, \
                                        T* out, T* scratch) {                                                        \
    return said([&] { forward<T>(*p, x, weight, offset, mask, out, scratch); });                                     \
  }                                                                                                                  \
  extern "C" const char* backward_##NAME(const Problem* p, const T* x, const T* weight, const T* offset,             \
                                         const T* mask, const T* grad, T* grad_x, T* grad_weight, T* grad_offset,    \
                                         T* grad_mask, T* scratch) {                                                 \
    return said([&] {                                                                                                \
      backward<T>(*p, x, weight, offset, mask, grad, grad_x, grad_weight, grad_offset, grad_mask, scratch);          \
    });                                                                                                              \
  }
ENTRY(float32, float)
ENTRY(float64, double)
