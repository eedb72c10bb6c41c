// What CuPy's CUDA C++ needs of a GPU, for g++ on the host. Every kernel is compiled behind it.
#pragma once
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <tuple>
#include <type_traits>
#include <utility>

// A kernel is a function, and shared memory is static: the blocks run one after the other.
#define __global__
#define __shared__ static
#define __constant__ static
#define __launch_bounds__(...)
#define __CUDACC_VER_MAJOR__ 13
#include <cuda_fp16.h>
#include <cuda_bf16.h>
// CUDA's headers define these for a compiler that knows them. g++ is none.
#undef __device__
#undef __host__
#undef __forceinline__
#undef __noinline__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__

struct Index { unsigned x = 1, y = 1, z = 1; };
extern "C" {  // run.cpp moves them on
extern Index threadIdx, blockIdx, blockDim, gridDim;
void __syncthreads();
void __syncwarp(unsigned = 0);
unsigned thread_in_block();
extern unsigned long long exchanged[1024];
}
static const int warpSize = 32;
// Each thread of a warp shows a number, and takes that of the one in this lane.
template <class T> T __shfl_sync(unsigned, T x, int lane, int = 32) {
  const unsigned thread = thread_in_block();
  memcpy(&exchanged[thread], &x, sizeof x);
  __syncwarp();
  memcpy(&x, &exchanged[thread / 32 * 32 + lane], sizeof x);
  __syncwarp();
  return x;
}
template <class T> T __shfl_xor_sync(unsigned mask, T x, int lanes, int = 32) {
  return __shfl_sync(mask, x, thread_in_block() % 32 ^ lanes);
}
template <class T> T __shfl_up_sync(unsigned mask, T x, int lanes, int = 32) {
  const int lane = thread_in_block() % 32;
  return __shfl_sync(mask, x, lane < lanes ? lane : lane - lanes);
}
template <class T> T __shfl_down_sync(unsigned mask, T x, int lanes, int = 32) {
  const int lane = thread_in_block() % 32;
  return __shfl_sync(mask, x, lane + lanes > 31 ? lane : lane + lanes);
}
static inline void __threadfence() {}

using std::isfinite, std::isinf, std::isnan, std::signbit;
template <class T, class U> auto min(T a, U b) { return b < a ? b : a; }
template <class T, class U> auto max(T a, U b) { return a < b ? b : a; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float __fdividef(float a, float b) { return a / b; }

template <class To, class From> To bits(From x) { To y; memcpy(&y, &x, sizeof y); return y; }
static inline int __float_as_int(float x) { return bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return bits<unsigned>(x); }
static inline float __int_as_float(int x) { return bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return bits<float>(x); }
static inline long long __double_as_longlong(double x) { return bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return bits<double>(x); }

// One thread runs at a time, so every operation is atomic.
template <class T> T put(T* place, T value) { return std::exchange(*place, value); }
template <class T, class U> T atomicAdd(T* p, U x) { return put(p, T(*p + T(x))); }
template <class T, class U> T atomicSub(T* p, U x) { return put(p, T(*p - T(x))); }
template <class T, class U> T atomicMax(T* p, U x) { return put(p, *p < T(x) ? T(x) : *p); }
template <class T, class U> T atomicMin(T* p, U x) { return put(p, T(x) < *p ? T(x) : *p); }
template <class T, class U> T atomicExch(T* p, U x) { return put(p, T(x)); }
template <class T, class U, class V> T atomicCAS(T* p, U expected, V x) {
  return put(p, *p == T(expected) ? T(x) : *p);
}
template <class T> T __ldg(const T* place) { return *place; }

// A launch gives pointers to the arguments. The kernel's type tells how to read them.
template <class... Arguments, size_t... I>
void call(void (*kernel)(Arguments...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_reference_t<Arguments>*>(arguments[I])...);
}
template <class... Arguments> void call(void (*kernel)(Arguments...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<Arguments...>{});
}

// What nearly every kernel includes, here to be compiled once.
#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
#include <cupy/float16.cuh>
#include <cupy/bfloat16.cuh>
