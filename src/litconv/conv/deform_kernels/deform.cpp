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

extern "C" int MKL_Set_Num_Threads_Local(int) __attribute__((weak));  // where torch's products are MKL's

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

// The same lanes, and zeros in the others.
template <typename V, typename U>
inline V widened(U value) {
  V wide{};
  std::memcpy(&wide, &value, sizeof(U));
  return wide;
}

template <typename T>
inline T sum(typename Wide<T>::type value) {
  typedef T half __attribute__((vector_size(32)));
  typedef T quarter __attribute__((vector_size(16)));
  half halves[2];
  std::memcpy(halves, &value, 64);
  const half two = halves[0] + halves[1];
  quarter quarters[2];
  std::memcpy(quarters, &two, 32);
  const quarter four = quarters[0] + quarters[1];
  if constexpr (sizeof(T) == 8) return four[0] + four[1];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// Calls step(first channel, type of the lanes) so that all channels are met: 64 bytes at a time, the rest 16 and one.
template <typename T, typename F>
inline void each_lane(int64_t channels, const F& step) {
  using V = typename Wide<T>::type;
  typedef T quarter __attribute__((vector_size(16)));
  int64_t c = 0;
  for (; c + Wide<T>::lanes <= channels; c += Wide<T>::lanes) step(c, static_cast<V*>(nullptr));
  for (; c + Wide<T>::lanes / 4 <= channels; c += Wide<T>::lanes / 4) step(c, static_cast<quarter*>(nullptr));
  for (; c < channels; ++c) step(c, static_cast<T*>(nullptr));
}

inline int64_t cut(int64_t total, int64_t pieces, int64_t index) { return total * index / pieces; }

// While it lives, matrix products of this thread are computed by this thread alone. MKL knows that inside a parallel region,
// and yet sums in another order than with one thread.
struct Alone {
  int before = MKL_Set_Num_Threads_Local ? MKL_Set_Num_Threads_Local(1) : 0;
  ~Alone() {
    if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(before);
  }
};

// Calls unit(index, worker) for every index, whichever worker comes first.
template <typename F>
void share_out(int64_t units, const F& unit) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(units, at::get_num_threads()), 1, [&](int64_t begin, int64_t end) {
    const Alone alone;
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
    for (int64_t tap = 0; tap < p.taps(); ++tap) {
      const int32_t tap_row = tap / p.kernel_width * p.dilation[0], tap_column = tap % p.kernel_width * p.dilation[1];
      const int64_t channel = group * p.taps() + tap, at = tap * STRIP;
      const T* offset_y = offset + 2 * channel * p.offset_strides[1];
      const T* offset_x = offset_y + p.offset_strides[1];
      for (int64_t i = 0; i < count; ++i) {
        fraction_y[at + i] = T(row[i] + tap_row) + offset_y[offset_at[i]];
        fraction_x[at + i] = T(column[i] + tap_column) + offset_x[offset_at[i]];
        mask[at + i] = masks ? masks[mask_at[i] + channel * p.mask_strides[1]] : T(1);
      }
      split(p.height, p.width, count, image, fraction_y + at, fraction_x + at, corner[0] + at, corner[1] + at,
            corner[2] + at, corner[3] + at);
    }
  }

  // Positions, in place, into fractions and corners. Far outside is as good as just outside. What is not a number stays
  // so as a fraction, and is outside as a corner.
  static void split(int32_t height, int32_t width, int64_t count, const int32_t* __restrict image, T* __restrict ys,
                    T* __restrict xs, int32_t* __restrict c00, int32_t* __restrict c01, int32_t* __restrict c10,
                    int32_t* __restrict c11) {
    const T last_y = height, last_x = width;
    for (int64_t i = 0; i < count; ++i) {
      const T y = ys[i] < -2 ? T(-2) : ys[i] > last_y ? last_y : ys[i];
      const T x = xs[i] < -2 ? T(-2) : xs[i] > last_x ? last_x : xs[i];
      const T floor_y = std::floor(y), floor_x = std::floor(x);
      ys[i] = y - floor_y, xs[i] = x - floor_x;
      const int32_t top = floor_y >= -2 ? floor_y : T(-2), left = floor_x >= -2 ? floor_x : T(-2);
      const int32_t pixel = image[i] + top * width + left;
      // All bits set where the row or the column lies outside: −1, whatever the pixel.
      const int32_t above = -(uint32_t(top) >= uint32_t(height)), below = -(uint32_t(top + 1) >= uint32_t(height));
      const int32_t before = -(uint32_t(left) >= uint32_t(width)), behind = -(uint32_t(left + 1) >= uint32_t(width));
      c00[i] = pixel | above | before;
      c01[i] = (pixel + 1) | above | behind;
      c10[i] = (pixel + width) | below | before;
      c11[i] = (pixel + width + 1) | below | behind;
    }
  }
};

// One sample: four corners of x, how they blend, and the channels that are wanted of it.
template <typename T>
struct Sample {
  int64_t pixel, tap, offset_group, channel, channels;  // of the tile; … ; first channel, how many
  int64_t corner[4];
  T fy, fx, mask;
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

// Calls visit for all samples of a tile and a block of channels.
template <typename T, typename F>
void for_samples(const Problem& p, Positions<T>& positions, const T* offset, const T* mask, int64_t first,
                 int64_t pixels, int64_t block, const F& visit) {
  const int64_t begin = block * p.block, end = begin + p.block, share = p.channels / p.offset_groups, taps = p.taps();
  for (int64_t strip = 0; strip < pixels; strip += STRIP) {
    const int64_t count = std::min(STRIP, pixels - strip);
    positions.move_to(p, first + strip, count);
    for (int64_t group = begin / share; group * share < end; ++group) {
      const int64_t from = std::max(begin, group * share), channels = std::min(end, (group + 1) * share) - from;
      positions.sample(p, offset, mask, group);
      const T *fy = positions.fraction_y, *fx = positions.fraction_x, *masks = positions.mask;
      const int32_t *c00 = positions.corner[0], *c01 = positions.corner[1];
      const int32_t *c10 = positions.corner[2], *c11 = positions.corner[3];
      for (int64_t i = 0; i < count; ++i)
        for (int64_t tap = 0, s = i; tap < taps; ++tap, s += STRIP)
          visit(Sample<T>{strip + i, tap, group, from, channels, {c00[s], c01[s], c10[s], c11[s]}, fy[s], fx[s], masks[s]});
    }
  }
}

template <typename T>
void forward(const Problem& p, const T* x, const T* weight, const T* offset, const T* mask, T* out, T* scratch) {
  const int64_t stride = p.channels, rows = p.rows(), width = p.block, outputs = p.group_outputs();
  share_out((p.pixels() + p.tile - 1) / p.tile, [&](int64_t tile, int64_t worker) {
    Desk<T> desk(p, scratch + worker * p.scratch);
    const T* zeros = desk.zeros;
    T* columns = desk.columns;
    const int64_t first = tile * p.tile, pixels = std::min(p.tile, p.pixels() - first);
    for (int64_t block = 0; block < p.blocks(); ++block) {
      for_samples(p, desk.positions, offset, mask, first, pixels, block, [=](const Sample<T>& s) {
        const T hy = (1 - s.fy) * s.mask, fy = s.fy * s.mask, hx = 1 - s.fx, fx = s.fx;
        const T w00 = hy * hx, w01 = hy * fx, w10 = fy * hx, w11 = fy * fx;
        const T* v[4];
        for (int k = 0; k < 4; ++k) v[k] = s.corner[k] < 0 ? zeros : x + s.corner[k] * stride + s.channel;
        T* to = columns + s.pixel * rows + s.tap * width + s.channel - block * width;
        each_lane<T>(s.channels, [=]<typename U>(int64_t c, U*) {
          const U top = load<U>(v[0] + c) * w00 + load<U>(v[1] + c) * w01;
          store(to + c, top + load<U>(v[2] + c) * w10 + load<U>(v[3] + c) * w11);
        });
      });
      const int64_t group = block * p.block * p.groups / p.channels;
      at::Tensor to = matrix(out + first * p.out_channels + group * outputs, pixels, outputs, p.out_channels);
      const bool starts = block * p.block % (p.channels / p.groups) == 0;
      at::addmm_out(to, to, matrix(columns, pixels, rows, rows), matrix(weight + block * rows * outputs, rows, outputs, 1, rows),
                    starts ? 0 : 1);
    }
  });
}

// The weight is (groups, blocks, outputs of a group, rows): no copy for one block whose parameter is NHWC already.
// grad_x (NHWC), grad_offset and grad_mask (parts, NHWC) come zeroed; grad_weight is (slabs, as weight).
template <typename T>
void backward(const Problem& p, const T* x, const T* weight, const T* offset, const T* mask, const T* grad, T* grad_x,
              T* grad_weight, T* grad_offset, T* grad_mask, T* scratch) {
  using V = typename Wide<T>::type;
  const int64_t stride = p.channels, rows = p.rows(), width = p.block, outputs = p.group_outputs();
  const int64_t weights = p.blocks() * rows * outputs, taps = p.taps(), samples = p.offset_groups * taps;
  share_out(p.slabs * p.parts, [&](int64_t unit, int64_t worker) {
    Desk<T> desk(p, scratch + worker * p.scratch);
    const T* zeros = desk.zeros;
    T *outside = desk.outside, *columns = desk.columns, *grad_columns = desk.grad_columns;
    const int64_t slab = unit / p.parts, part = unit % p.parts;
    const int64_t begin = cut(p.images, p.slabs, slab) * p.image_pixels();
    const int64_t end = cut(p.images, p.slabs, slab + 1) * p.image_pixels();
    for (int64_t first = begin; first < end; first += p.tile) {
      const int64_t pixels = std::min(p.tile, end - first), first_sample = (part * p.pixels() + first) * samples;
      for (int64_t block = cut(p.blocks(), p.parts, part); block < cut(p.blocks(), p.parts, part + 1); ++block) {
        const int64_t group = block * p.block * p.groups / p.channels;
        at::Tensor by_pixel = matrix(grad + first * p.out_channels + group * outputs, pixels, outputs, p.out_channels);
        at::Tensor by_column = matrix(grad_columns, pixels, rows, rows);
        at::addmm_out(by_column, by_column, by_pixel, matrix(weight + block * rows * outputs, outputs, rows, rows), 0);
        for_samples(p, desk.positions, offset, mask, first, pixels, block, [=](const Sample<T>& s) {
          const T fy = s.fy, fx = s.fx, m = s.mask, hy = 1 - fy, hx = 1 - fx;
          const T w00 = hy * hx * m, w01 = hy * fx * m, w10 = fy * hx * m, w11 = fy * fx * m;
          const int64_t column = s.pixel * rows + s.tap * width + s.channel - block * width;
          const T *v[4], *grads = grad_columns + column;
          T *to[4], *values = columns + column;
          for (int k = 0; k < 4; ++k) {
            const int64_t at = s.corner[k] * stride + s.channel;
            v[k] = s.corner[k] < 0 ? zeros : x + at;
            to[k] = s.corner[k] < 0 ? outside : grad_x + at;
          }
          V along_y{}, along_x{}, along_mask{};
          each_lane<T>(s.channels, [&]<typename U>(int64_t c, U*) {
            const U g = load<U>(grads + c);
            const U v00 = load<U>(v[0] + c), v01 = load<U>(v[1] + c), v10 = load<U>(v[2] + c), v11 = load<U>(v[3] + c);
            const U top = v00 * hx + v01 * fx, bottom = v10 * hx + v11 * fx, value = top * hy + bottom * fy;
            store(values + c, value * m);
            along_y += widened<V>(g * (bottom - top));
            along_x += widened<V>(g * ((v01 - v00) * hy + (v11 - v10) * fy));
            along_mask += widened<V>(g * value);
            // All four are read before any is written: addresses 4 KiB apart would wait for each other.
            const U g00 = load<U>(to[0] + c) + g * w00, g01 = load<U>(to[1] + c) + g * w01;
            const U g10 = load<U>(to[2] + c) + g * w10, g11 = load<U>(to[3] + c) + g * w11;
            store(to[0] + c, g00), store(to[1] + c, g01), store(to[2] + c, g10), store(to[3] + c, g11);
          });
          const int64_t sample = first_sample + s.pixel * samples + s.offset_group * taps + s.tap;
          grad_offset[2 * sample] += sum<T>(along_y) * m;
          grad_offset[2 * sample + 1] += sum<T>(along_x) * m;
          if (mask) grad_mask[sample] += sum<T>(along_mask);
        });
        at::Tensor to = matrix(grad_weight + slab * weights + block * rows * outputs, outputs, rows, rows);
        at::addmm_out(to, to, by_pixel.t(), matrix(columns, pixels, rows, rows), first > begin ? 1 : 0);
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
