// cuBLAS: products of matrices as plain loops. Matrices lie column by column; α and β on the host.
#include <cuda_fp16.h>
#include <library_types.h>

#include <cstdlib>

#include "counts.h"

// C ← αAB + βC, with sums of type Sum
template <class Sum, class In, class Out>
static int gemm(bool turn_a, bool turn_b, int m, int n, int k, Sum alpha, const In* a, long lda,
                const In* b, long ldb, Sum beta, Out* c, long ldc) {
  for (long j = 0; j < n; j++)
    for (long i = 0; i < m; i++) {
      Sum sum = 0;
      for (long l = 0; l < k; l++)
        sum += Sum(a[turn_a ? l + i * lda : i + l * lda]) * Sum(b[turn_b ? j + l * ldb : l + j * ldb]);
      Out& out = c[i + j * ldc];
      out = Out(alpha * sum + (beta == Sum(0) ? Sum(0) : beta * Sum(out)));
    }
  return 0;
}

// y ← αAx + βy
template <class T>
static int gemv(bool turn, int m, int n, const T* alpha, const T* a, long lda, const T* x, long step_x,
                const T* beta, T* y, long step_y) {
  count("product gemv");
  for (long i = 0; i < (turn ? n : m); i++) {
    T sum = 0, &out = y[i * step_y];
    for (long l = 0; l < (turn ? m : n); l++) sum += a[turn ? l + i * lda : i + l * lda] * x[l * step_x];
    out = *alpha * sum + (*beta == 0 ? 0 : *beta * out);
  }
  return 0;
}

template <class T>
static int dot(int n, const T* x, long step_x, const T* y, long step_y, T* result) {
  count("product dot");
  *result = 0;
  for (long i = 0; i < n; i++) *result += x[i * step_x] * y[i * step_y];
  return 0;
}

// A ← A + αxyᵀ
template <class T>
static int ger(int m, int n, const T* alpha, const T* x, long step_x, const T* y, long step_y, T* a,
               long lda) {
  count("product ger");
  for (long j = 0; j < n; j++)
    for (long i = 0; i < m; i++) a[i + j * lda] += *alpha * x[i * step_x] * y[j * step_y];
  return 0;
}

static int any_gemm(int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int type,
                    int lda, const void* b, int ldb, const void* beta, void* c, int out, int ldc) {
  const float *f = (const float*)alpha, *g = (const float*)beta;
  if (type == CUDA_R_64F)
    return gemm(ta, tb, m, n, k, *(const double*)alpha, (const double*)a, lda, (const double*)b, ldb,
                *(const double*)beta, (double*)c, ldc);
  if (type == CUDA_R_32F)
    return gemm(ta, tb, m, n, k, *f, (const float*)a, lda, (const float*)b, ldb, *g, (float*)c, ldc);
  if (type == CUDA_R_16F && out == CUDA_R_16F)
    return gemm(ta, tb, m, n, k, *f, (const __half*)a, lda, (const __half*)b, ldb, *g, (__half*)c, ldc);
  return 15;  // CUBLAS_STATUS_NOT_SUPPORTED
}
static size_t width(int type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }

static int mode;
#define MATRICES(T) int ta, int tb, int m, int n, int k, const T *alpha, const T *a, int lda, const T *b, \
                    int ldb, const T *beta, T *c, int ldc
extern "C" {
int cublasCreate_v2(void** handle) { return *handle = &mode, 0; }
int cublasDestroy_v2(void*) { return 0; }
int cublasSetStream_v2(void*, void*) { return 0; }
int cublasGetStream_v2(void*, void** stream) { return *stream = nullptr, 0; }
int cublasGetPointerMode_v2(void*, int* m) { return *m = mode, 0; }
int cublasSetPointerMode_v2(void*, int m) { return mode = m, 0; }
int cublasGetMathMode(void*, int* m) { return *m = 0, 0; }
int cublasSetMathMode(void*, int) { return 0; }
int cublasGetVersion_v2(void*, int* version) { return *version = 130000, 0; }

int cublasSgemm_v2(void*, MATRICES(float)) {
  return count("product gemm"), gemm(ta, tb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
}
int cublasDgemm_v2(void*, MATRICES(double)) {
  return count("product gemm"), gemm(ta, tb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
}
int cublasGemmEx(void*, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int type,
                 int lda, const void* b, int, int ldb, const void* beta, void* c, int out, int ldc, int,
                 int) {
  count("product gemm");
  return any_gemm(ta, tb, m, n, k, alpha, a, type, lda, b, ldb, beta, c, out, ldc);
}
int cublasSgemmEx(void* handle, int ta, int tb, int m, int n, int k, const float* alpha, const void* a,
                  int type, int lda, const void* b, int type_b, int ldb, const float* beta, void* c,
                  int out, int ldc) {
  return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, type, lda, b, type_b, ldb, beta, c, out, ldc, 0, 0);
}
int cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* alpha,
                               const void* a, int type, int lda, long long step_a, const void* b, int,
                               int ldb, long long step_b, const void* beta, void* c, int out, int ldc,
                               long long step_c, int number, int, int) {
  count("product gemm");
  int status = 0;
  for (int i = 0; i < number && !status; i++)
    status = any_gemm(ta, tb, m, n, k, alpha, (const char*)a + i * step_a * width(type), type, lda,
                      (const char*)b + i * step_b * width(type), ldb, beta,
                      (char*)c + i * step_c * width(out), out, ldc);
  return status;
}
#define BATCHED(T) int ta, int tb, int m, int n, int k, const T *alpha, const T **a, int lda, \
                   const T **b, int ldb, const T *beta, T **c, int ldc, int number
#define LOOP for (int i = 0; i < number; i++) \
    gemm(ta, tb, m, n, k, *alpha, a[i], lda, b[i], ldb, *beta, c[i], ldc)
int cublasSgemmBatched(void*, BATCHED(float)) { count("product gemm"); LOOP; return 0; }
int cublasDgemmBatched(void*, BATCHED(double)) { count("product gemm"); LOOP; return 0; }

#define VECTOR(T) int turn, int m, int n, const T *alpha, const T *a, int lda, const T *x, int step_x, \
                  const T *beta, T *y, int step_y
int cublasSgemv_v2(void*, VECTOR(float)) { return gemv(turn, m, n, alpha, a, lda, x, step_x, beta, y, step_y); }
int cublasDgemv_v2(void*, VECTOR(double)) { return gemv(turn, m, n, alpha, a, lda, x, step_x, beta, y, step_y); }
int cublasSdot_v2(void*, int n, const float* x, int step_x, const float* y, int step_y, float* result) {
  return dot(n, x, step_x, y, step_y, result);
}
int cublasDdot_v2(void*, int n, const double* x, int step_x, const double* y, int step_y, double* result) {
  return dot(n, x, step_x, y, step_y, result);
}
int cublasSger_v2(void*, int m, int n, const float* alpha, const float* x, int step_x, const float* y,
                  int step_y, float* a, int lda) {
  return ger(m, n, alpha, x, step_x, y, step_y, a, lda);
}
int cublasDger_v2(void*, int m, int n, const double* alpha, const double* x, int step_x, const double* y,
                  int step_y, double* a, int lda) {
  return ger(m, n, alpha, x, step_x, y, step_y, a, lda);
}
}
