// Layer normalization of sums, a row in the registers of a warp or a block: what is read is read once.
//
// Macros say what a kernel is compiled for:
//   HALF      elements are float16, else float32
//   INT8      the result is int8: round(norm / step), ties to even
//   WIDTH     elements of a row
//   VECTOR    elements of one load, which divides WIDTH; all addresses are multiples of it
//   THREADS   that share a row, a multiple of 32
//   ROWS      of a block; one if THREADS is more than 32
//   BIAS, SCALE, SHIFT   whether there is such a vector
//   TABLES, ADDED, INDEX of embeddings: how many, and the type of indices
//
// Sums and statistics are float32, the variance is that of differences from the mean. No header is
// needed, since those of CUDA do not come with the compiler.

typedef long long Long;
constexpr int CHUNKS = WIDTH / VECTOR;
constexpr int ITEMS = (CHUNKS + THREADS - 1) / THREADS;
constexpr unsigned ALL = 0xffffffffu;

#if HALF
typedef unsigned short Element;
__device__ __forceinline__ float widened(Element bits) {
  float number;
  asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(bits));
  return number;
}
__device__ __forceinline__ Element narrowed(float number) {
  Element bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(number));
  return bits;
}
#else
typedef float Element;
__device__ __forceinline__ float widened(Element number) { return number; }
__device__ __forceinline__ Element narrowed(float number) { return number; }
#endif

template <int BYTES> struct Word;
template <> struct Word<16> { typedef uint4 type; };
template <> struct Word<8> { typedef uint2 type; };
template <> struct Word<4> { typedef unsigned int type; };
template <> struct Word<2> { typedef unsigned short type; };
template <> struct Word<1> { typedef unsigned char type; };

template <typename T> union Chunk {
  typename Word<sizeof(T) * VECTOR>::type word;
  T at[VECTOR];
};
typedef Chunk<Element> Read;
typedef Word<sizeof(Element) * VECTOR>::type Packed;

__device__ __forceinline__ int lane() { return THREADS > 32 ? threadIdx.x : threadIdx.x % 32; }
__device__ __forceinline__ int place(int item) { return item * THREADS + lane(); }
__device__ __forceinline__ bool inside(int item) {
  return (item + 1) * THREADS <= CHUNKS || place(item) < CHUNKS;
}

// What is read once leaves the caches to what is read again, as parameters are.
__device__ __forceinline__ void fetch_once(Read (&chunks)[ITEMS], const Element* row) {
#pragma unroll
  for (int item = 0; item < ITEMS; ++item)
    if (inside(item)) chunks[item].word = __ldcs((const Packed*)row + place(item));
}

__device__ __forceinline__ void fetch(Read (&chunks)[ITEMS], const Element* row) {
#pragma unroll
  for (int item = 0; item < ITEMS; ++item)
    if (inside(item)) chunks[item].word = __ldg((const Packed*)row + place(item));
}

struct Row {
  float at[ITEMS][VECTOR];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int item = 0; item < ITEMS; ++item)
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) at[item][i] = 0.0f;
  }

  __device__ __forceinline__ void add(const Read (&chunks)[ITEMS]) {
#pragma unroll
    for (int item = 0; item < ITEMS; ++item)
      if (inside(item))
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) at[item][i] += widened(chunks[item].at[i]);
  }
};

// The sum over all threads of a row, the same in each of them.
__device__ __forceinline__ float total(float number) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) number += __shfl_xor_sync(ALL, number, offset);
#if THREADS > 32
  __shared__ float parts[THREADS / 32];
  __syncthreads();  // the parts of the sum before this one have been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = number;
  __syncthreads();
  number = 0.0f;
#pragma unroll
  for (int part = 0; part < THREADS / 32; ++part) number += parts[part];
#endif
  return number;
}

#if INT8
typedef signed char Result;
__device__ __forceinline__ void pack(Chunk<Result>& made, const float (&numbers)[VECTOR], float step) {
  const float inverse = 1.0f / step;
#pragma unroll
  for (int i = 0; i < VECTOR; ++i) {
    // Rounded to the type of the operands first, as where a layer of its own makes bytes of it.
    const float number = widened(narrowed(numbers[i]));
    // A product with the inverse, corrected once, is the quotient; so ties are where they belong.
    float quotient = fminf(fmaxf(number * inverse, -1024.0f), 1024.0f);
    quotient = fmaf(fmaf(-quotient, step, number), inverse, quotient);
    int byte;
    asm("cvt.rni.sat.s8.f32 %0, %1;" : "=r"(byte) : "f"(quotient));
    made.at[i] = (Result)byte;
  }
}
#else
typedef Element Result;
__device__ __forceinline__ void pack(Chunk<Result>& made, const float (&numbers)[VECTOR], float) {
#if HALF && VECTOR > 1 && __CUDA_ARCH__ >= 800
  union {
    Packed word;
    unsigned int pairs[VECTOR / 2];
  } two;
#pragma unroll
  for (int i = 0; i < VECTOR / 2; ++i)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;"
        : "=r"(two.pairs[i])
        : "f"(numbers[2 * i + 1]), "f"(numbers[2 * i]));
  made.word = two.word;
#else
#pragma unroll
  for (int i = 0; i < VECTOR; ++i) made.at[i] = narrowed(numbers[i]);
#endif
}
#endif

__device__ __forceinline__ void normalize(Row& row, const Element* scale, const Element* shift,
                                          Result* out, float epsilon, float step) {
  float sum = 0.0f;
#pragma unroll
  for (int item = 0; item < ITEMS; ++item)
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) sum += row.at[item][i];  // 0 where there is no element
  const float mean = total(sum) / WIDTH;
  float squares = 0.0f;
#pragma unroll
  for (int item = 0; item < ITEMS; ++item)
    if (inside(item))
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        row.at[item][i] -= mean;
        squares = fmaf(row.at[item][i], row.at[item][i], squares);
      }
  const float factor = 1.0f / sqrtf(total(squares) / WIDTH + epsilon);
#pragma unroll
  for (int item = 0; item < ITEMS; ++item)
    if (inside(item)) {
      float numbers[VECTOR];
#if SCALE
      Read times;
      times.word = __ldg((const Packed*)scale + place(item));
#endif
#if SHIFT
      Read plus;
      plus.word = __ldg((const Packed*)shift + place(item));
#endif
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        float number = row.at[item][i] * factor;
#if SCALE
        number *= widened(times.at[i]);
#endif
#if SHIFT
        number += widened(plus.at[i]);
#endif
        numbers[i] = number;
      }
      Chunk<Result> made;
      pack(made, numbers, step);
      ((typename Word<sizeof(Result) * VECTOR>::type*)out)[place(item)] = made.word;
    }
}

__device__ __forceinline__ Long first_row() {
  return (Long)blockIdx.x * ROWS + (THREADS > 32 ? 0 : threadIdx.x / 32);
}

#if TABLES
#define SOME (ADDED > 0 ? ADDED : 1)
struct Terms {
  const Element* tables[TABLES];
  const INDEX* indices[TABLES];
  Long sizes[TABLES];  // rows of each table
  const Element* added[SOME];
  Long periods[SOME];  // after how many rows what is added comes again
};

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
    embedding_norm(const Terms terms, const Element* scale, const Element* shift, Result* out,
                   Long rows, float epsilon, float step) {
  for (Long at = first_row(); at < rows; at += (Long)gridDim.x * ROWS) {
    Row row;
    Read chunks[ITEMS];
    row.clear();
    bool known = true;
#pragma unroll
    for (int i = 0; i < TABLES; ++i) {
      Long index = terms.indices[i][at];
      const bool fits = -terms.sizes[i] <= index && index < terms.sizes[i];
      if (index < 0) index += terms.sizes[i];
      known = known && fits;
      fetch(chunks, terms.tables[i] + (fits ? index : 0) * WIDTH);
      row.add(chunks);
    }
#pragma unroll
    for (int i = 0; i < ADDED; ++i) {
      fetch(chunks, terms.added[i] + at % terms.periods[i] * WIDTH);
      row.add(chunks);
    }
    // Of a row that no table has, NaN: seen, and nothing is read from where nothing is.
    if (!known) row.at[0][0] = __int_as_float(0x7fffffff);
    normalize(row, scale, shift, out + at * WIDTH, epsilon, step);
  }
}
#else
extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
    skip_norm(const Element* x, const Element* skip, const Element* bias, const Element* scale,
              const Element* shift, Result* out, Long rows, float epsilon, float step) {
  for (Long at = first_row(); at < rows; at += (Long)gridDim.x * ROWS) {
    Row row;
    Read chunks[ITEMS], skipped[ITEMS];
    fetch_once(chunks, x + at * WIDTH);
    fetch_once(skipped, skip + at * WIDTH);
    row.clear();
    row.add(chunks);
#if BIAS
    fetch(chunks, bias);
    row.add(chunks);
#endif
    row.add(skipped);
    normalize(row, scale, shift, out + at * WIDTH, epsilon, step);
  }
}
#endif
