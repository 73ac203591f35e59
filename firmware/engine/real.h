/* SPDX-License-Identifier: MIT */
/**
 * Elementary functions of the float engine.
 *
 * Part of the definition of results: plain C with a fixed order of operations,
 * no library function but exact ones (fma, sqrt, rounding), no branch on the hot
 * paths, so that compilers turn loops over them into vector code and every code
 * path gives the same bits.
 *
 * Functions of float compute in binary32 with fused multiply-adds; their largest
 * error is given with each.  Functions of double are exact to about 1e-13
 * relative over the range that float arguments reach; a result rounded to float
 * is within 0.501 ulp unless said otherwise.
 */
#ifndef WEFT_ENGINE_REAL_H
#define WEFT_ENGINE_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define WEFT_INLINE static inline __attribute__((always_inline, unused))

WEFT_INLINE uint32_t weft_bits32(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

WEFT_INLINE float weft_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

WEFT_INLINE uint64_t weft_bits64(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

WEFT_INLINE double weft_double(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* 1.5 * 2^23: adding it rounds to the nearest integer, which the low bits then hold. */
#define WEFT_ROUNDER32 0x1.8p23f
#define WEFT_ROUNDER64 0x1.8p52

/* exp(r) - 1 for |r| <= ln(2) / 2; polynomial of Cephes' expf. */
WEFT_INLINE float weft_expm1_core(float r)
{
	float p = 1.9875691500e-4f;

	p = fmaf(p, r, 1.3981999507e-3f);
	p = fmaf(p, r, 8.3334519073e-3f);
	p = fmaf(p, r, 4.1665795894e-2f);
	p = fmaf(p, r, 1.6666665459e-1f);
	p = fmaf(p, r, 5.0000001201e-1f);
	return fmaf(p, r * r, r);
}

/* x = k * ln(2) + r; returns r, leaves k + a constant in the low bits of *t. */
WEFT_INLINE float weft_exp_reduce(float x, float *t)
{
	float n;

	*t = fmaf(x, 0x1.715476p0f, WEFT_ROUNDER32);
	n = *t - WEFT_ROUNDER32;
	return fmaf(n, 0x1.05c610p-29f, fmaf(n, -0x1.62e430p-1f, x));
}

/** e^x; 1.1 ulp. */
WEFT_INLINE float weft_exp(float x)
{
	float t, r, y;
	int32_t k, half;

	x = x > 89.0f ? 89.0f : x;
	x = x < -104.0f ? -104.0f : x;
	r = weft_exp_reduce(x, &t);
	y = 1.0f + weft_expm1_core(r);
	/* 2^k in two factors: the result may be denormal or infinite. */
	k = (int32_t)(weft_bits32(t) - weft_bits32(WEFT_ROUNDER32));
	half = k >> 1;
	y *= weft_float((uint32_t)(half + 127) << 23);
	return y * weft_float((uint32_t)(k - half + 127) << 23);
}

/** 1 / (1 + e^-x); 2.2 ulp. */
WEFT_INLINE float weft_sigmoid(float x)
{
	float e = weft_exp(-fabsf(x));

	return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

/** tanh; 2.6 ulp.  With e = exp(-2|x|) - 1 it is -e / (e + 2). */
WEFT_INLINE float weft_tanh(float x)
{
	float m = -2.0f * fabsf(x);
	float t, r, scale, e;

	m = m < -20.0f ? -20.0f : m;
	r = weft_exp_reduce(m, &t);
	scale = weft_float((weft_bits32(t) - weft_bits32(WEFT_ROUNDER32) + 127) << 23);
	e = fmaf(weft_expm1_core(r), scale, scale - 1.0f);
	return copysignf(-e / (e + 2.0f), x);
}

/**
 * The normal distribution function of -|x|, and its density times sqrt(2 pi) in
 * *density; 4.9 ulp where normal.  With z = |x| / sqrt(2) and t = 2 / (2 + z) it is
 * exp(-x^2 / 2) * t * R(u) / 2: R is a Chebyshev fit of erfc(z) * exp(z^2) / t
 * over z in [0, 10.5], u being t mapped to [-1, 1]; error 3e-9.
 */
WEFT_INLINE float weft_normal_tail(float x, float *density)
{
	float square = x * x;
	float rest = fmaf(x, x, -square); /* what rounding took from the square */
	float z = fabsf(x) * 0x1.6a09e6p-1f;
	float t, u, p;

	*density = weft_exp(-0.5f * square);
	*density = fmaf(-0.5f * *density, square < 220.0f ? rest : 0.0f, *density);
	z = z > 10.5f ? 10.5f : z;
	t = 2.0f / (2.0f + z);
	u = fmaf(t, 0x1.30c30cp+1f, -0x1.618618p+0f);
	p = 0x1.7fd104p-18f;
	p = fmaf(p, u, 0x1.b635e2p-18f);
	p = fmaf(p, u, -0x1.29be3cp-14f);
	p = fmaf(p, u, 0x1.4a99a8p-17f);
	p = fmaf(p, u, 0x1.47b5e6p-11f);
	p = fmaf(p, u, -0x1.61d8aep-11f);
	p = fmaf(p, u, -0x1.9eaac6p-8f);
	p = fmaf(p, u, 0x1.9d6dfcp-8f);
	p = fmaf(p, u, 0x1.a805a0p-4f);
	p = fmaf(p, u, 0x1.4f0a58p-2f);
	p = fmaf(p, u, 0x1.23898ap-1f);
	return *density * (0.5f * t * p);
}

/** Larger of two; NaN if either is. */
WEFT_INLINE float weft_max(float a, float b)
{
	return a > b || a != a ? a : b;
}

WEFT_INLINE float weft_min(float a, float b)
{
	return a < b || a != a ? a : b;
}

/* Double precision. */

/* exp(r) - 1 for |r| <= ln(2) / 2, by its Taylor series. */
WEFT_INLINE double weft_expm1_core_d(double r)
{
	double p = 1.0 / 39916800;

	p = p * r + 1.0 / 3628800;
	p = p * r + 1.0 / 362880;
	p = p * r + 1.0 / 40320;
	p = p * r + 1.0 / 5040;
	p = p * r + 1.0 / 720;
	p = p * r + 1.0 / 120;
	p = p * r + 1.0 / 24;
	p = p * r + 1.0 / 6;
	p = p * r + 0.5;
	return p * (r * r) + r;
}

/* Reduce x, |x| < 720: returns exp(r) - 1 and 2^k. */
WEFT_INLINE double weft_exp_parts_d(double x, double *scale)
{
	double t, n, r;

	x = x > 708.0 ? 708.0 : x;
	x = x < -708.0 ? -708.0 : x;
	t = x * 0x1.71547652b82fep0 + WEFT_ROUNDER64;
	n = t - WEFT_ROUNDER64;
	r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
	*scale = weft_double((weft_bits64(t) + 1023) << 52);
	return weft_expm1_core_d(r);
}

WEFT_INLINE double weft_exp_d(double x)
{
	double scale;
	double m = weft_exp_parts_d(x, &scale);
	double y = (1.0 + m) * scale;

	y = x > 708.0 ? (double)INFINITY : y;
	return x < -708.0 ? 0.0 : y;
}

/* exp(x) - 1, also for small x. */
WEFT_INLINE double weft_expm1_d(double x)
{
	double scale;
	double m = weft_exp_parts_d(x, &scale);

	return m * scale + (scale - 1.0);
}

/* Natural logarithm of a positive normal number; other arguments give anything. */
WEFT_INLINE double weft_log_core_d(double x)
{
	/* Cut the range so that the mantissa lies in [sqrt(1/2), sqrt(2)). */
	uint64_t bits = weft_bits64(x) + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
	double k = weft_double((bits >> 52) | 0x4330000000000000) - (0x1p52 + 1023);
	double m = weft_double((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd);
	double s = (m - 1.0) / (m + 1.0);
	double z = s * s;
	double p = 1.0 / 17;

	p = p * z + 1.0 / 15;
	p = p * z + 1.0 / 13;
	p = p * z + 1.0 / 11;
	p = p * z + 1.0 / 9;
	p = p * z + 1.0 / 7;
	p = p * z + 1.0 / 5;
	p = p * z + 1.0 / 3;
	return k * 0x1.62e42fefa39efp-1 + 2.0 * (s + s * (z * p));
}

/* Natural logarithm of any double that is not denormal. */
WEFT_INLINE double weft_log_d(double x)
{
	double y = weft_log_core_d(x);

	y = x == 0.0 ? -(double)INFINITY : y;
	y = x == (double)INFINITY ? x : y;
	return x < 0.0 || x != x ? (double)NAN : y;
}

/* log(1 + x), also for small x; x > -1 or the special values of log. */
WEFT_INLINE double weft_log1p_d(double x)
{
	double w = 1.0 + x;
	double y = weft_log_d(w);

	return w > 0.0 && w < (double)INFINITY ? y + (x - (w - 1.0)) / w : y;
}

WEFT_INLINE double weft_softplus_d(double x)
{
	return (x > 0.0 ? x : 0.0) + weft_log1p_d(weft_exp_d(-fabs(x)));
}

/*
 * erfc(z) = t * exp(-z^2 + P(u)) for z >= 0, t = 2 / (2 + z): P is a Chebyshev
 * fit over z in [0, 12], u being t mapped to [-1, 1]; error 2e-13 relative.
 * Beyond it erfc is 0.
 */
WEFT_INLINE double weft_erfc_core_d(double z)
{
	const int large = z > 12.0;
	double t, u, p;

	z = large ? 12.0 : z;
	t = 2.0 / (2.0 + z);
	u = t * 0x1.2aaaaaaaaaaabp+1 - 0x1.5555555555555p+0;
	p = -0x1.f335a09eba08bp-24;
	p = p * u + 0x1.4c4ce06e99dadp-23;
	p = p * u + 0x1.c8461f7541290p-21;
	p = p * u - 0x1.05c63cc844b02p-19;
	p = p * u - 0x1.28c14a09cf154p-19;
	p = p * u + 0x1.a8aa9c2f03487p-17;
	p = p * u - 0x1.89dd2b04c598bp-18;
	p = p * u - 0x1.ce0b26fd13e9cp-15;
	p = p * u + 0x1.9ed3484d713c9p-14;
	p = p * u + 0x1.5a1aca00ecc9fp-13;
	p = p * u - 0x1.71181795b9d8fp-11;
	p = p * u - 0x1.aeae1926fbb9ep-13;
	p = p * u + 0x1.1b19987af9143p-8;
	p = p * u - 0x1.cea242d861e7bp-10;
	p = p * u - 0x1.0562b46bca2a0p-5;
	p = p * u + 0x1.3c993c0c7119fp-6;
	p = p * u + 0x1.2bd40a0010a0ap-1;
	p = p * u - 0x1.26562fc55f75ap-1;
	return large ? 0.0 : t * weft_exp_d(p - z * z);
}

WEFT_INLINE double weft_erf_d(double x)
{
	double z = x * x;
	double p = -1.0 / 75600;
	double large = copysign(1.0 - weft_erfc_core_d(fabs(x)), x);

	p = p * z + 1.0 / 9360;
	p = p * z - 1.0 / 1320;
	p = p * z + 1.0 / 216;
	p = p * z - 1.0 / 42;
	p = p * z + 1.0 / 10;
	p = p * z - 1.0 / 3;
	p = (p * z + 1.0) * x * 0x1.20dd750429b6dp+0;
	return fabs(x) < 0.25 ? p : large;
}

WEFT_INLINE double weft_sin_core_d(double r)
{
	double z = r * r;
	double p = 1.0 / 6227020800.0;

	p = p * z - 1.0 / 39916800;
	p = p * z + 1.0 / 362880;
	p = p * z - 1.0 / 5040;
	p = p * z + 1.0 / 120;
	p = p * z - 1.0 / 6;
	return r + r * (z * p);
}

WEFT_INLINE double weft_cos_core_d(double r)
{
	double z = r * r;
	double p = -1.0 / 87178291200.0;

	p = p * z + 1.0 / 479001600;
	p = p * z - 1.0 / 3628800;
	p = p * z + 1.0 / 40320;
	p = p * z - 1.0 / 720;
	p = p * z + 1.0 / 24;
	p = p * z - 0.5;
	return 1.0 + z * p;
}

/* Largest argument of the fast reduction of sine and cosine. */
#define WEFT_TRIG_FAST 0x1p20

/* x = q * pi / 2 + r with |r| <= pi / 4 (and a little); |x| <= WEFT_TRIG_FAST.  q's low bits count. */
WEFT_INLINE double weft_trig_reduce_d(double x, uint64_t *q)
{
	double t = x * 0x1.45f306dc9c883p-1 + WEFT_ROUNDER64;
	double n = t - WEFT_ROUNDER64;

	*q = weft_bits64(t);
	return (x - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a626331p-34;
}

/* The same for any finite float, by the bits of 2 / pi that matter (Payne and Hanek). */
static inline double weft_trig_reduce_any(float x, uint64_t *q)
{
	/* 2 / pi = 0.A2F9836E 4E441529 FC2757D1 F534DDC0 DB629599 3C439041 FE5163AB ... */
	static const uint32_t two_over_pi[] = {0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
					       0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
	uint32_t bits = weft_bits32(x);
	int exponent = (int)(bits >> 23 & 0xff) - 150;
	uint64_t m = (bits & 0x7fffff) | 0x800000;
	/* Bits of weight 4 and more do not matter: start where 2^exponent leaves two integer bits. */
	unsigned int skip, word, shift;
	uint64_t high, low, product;
	double r;

	if (fabsf(x) < (float)WEFT_TRIG_FAST)
		return weft_trig_reduce_d(x, q);
	skip = (unsigned int)(exponent + 30);
	word = skip / 32;
	shift = skip % 32;
	high = (uint64_t)two_over_pi[word] << 32 | two_over_pi[word + 1];
	low = (uint64_t)two_over_pi[word + 2] << 32 | two_over_pi[word + 3];
	if (shift) {
		high = high << shift | low >> (64 - shift);
		low = low << shift | two_over_pi[word + 4] >> (32 - shift);
	}
	/* m * 2^exponent * 2 / pi, modulo 4, with 62 bits of fraction. */
	product = m * high + (uint64_t)(((unsigned __int128)m * low) >> 64);
	*q = (product + 0x2000000000000000) >> 62;
	r = (double)(int64_t)(product - (*q << 62)) * 0x1.921fb54442d18p-62;
	if (bits >> 31) {
		r = -r;
		*q = -*q;
	}
	return r;
}

WEFT_INLINE double weft_sin_quadrant(double r, uint64_t q)
{
	double y = q & 1 ? weft_cos_core_d(r) : weft_sin_core_d(r);

	return q & 2 ? -y : y;
}

WEFT_INLINE double weft_atan_d(double x)
{
	double a = fabs(x);
	double big = a > 1.0 ? 1.0 / a : a;
	double t = big > 0x1.a827999fcef32p-2 ? (big - 1.0) / (big + 1.0) : big;
	double z = t * t;
	double p = 1.0 / 29;
	double y;

	p = p * z - 1.0 / 27;
	p = p * z + 1.0 / 25;
	p = p * z - 1.0 / 23;
	p = p * z + 1.0 / 21;
	p = p * z - 1.0 / 19;
	p = p * z + 1.0 / 17;
	p = p * z - 1.0 / 15;
	p = p * z + 1.0 / 13;
	p = p * z - 1.0 / 11;
	p = p * z + 1.0 / 9;
	p = p * z - 1.0 / 7;
	p = p * z + 1.0 / 5;
	p = p * z - 1.0 / 3;
	y = t + t * (z * p);
	y = big > 0x1.a827999fcef32p-2 ? y + 0x1.921fb54442d18p-1 : y;
	y = a > 1.0 ? 0x1.921fb54442d18p+0 - y : y;
	return copysign(y, x);
}

WEFT_INLINE double weft_asin_d(double x)
{
	return 2.0 * weft_atan_d(x / (1.0 + sqrt((1.0 - x) * (1.0 + x))));
}

WEFT_INLINE double weft_acos_d(double x)
{
	return 2.0 * weft_atan_d(sqrt((1.0 - x) / (1.0 + x)));
}

WEFT_INLINE double weft_sinh_d(double x)
{
	double e = weft_expm1_d(fabs(x));

	return copysign(0.5 * (e + e / (e + 1.0)), x);
}

WEFT_INLINE double weft_cosh_d(double x)
{
	double e = weft_exp_d(fabs(x));

	return 0.5 * (e + 1.0 / e);
}

WEFT_INLINE double weft_tanh_d(double x)
{
	double e = weft_expm1_d(-2.0 * fabs(x));

	return copysign(-e / (e + 2.0), x);
}

WEFT_INLINE double weft_asinh_d(double x)
{
	double a = fabs(x);

	double y = weft_log1p_d(a + a * a / (1.0 + sqrt(1.0 + a * a)));

	return copysign(a < (double)INFINITY ? y : a, x);
}

WEFT_INLINE double weft_acosh_d(double x)
{
	double t = x - 1.0;

	return t < 0.0 ? (double)NAN : weft_log1p_d(t + sqrt(t * (2.0 + t)));
}

WEFT_INLINE double weft_atanh_d(double x)
{
	double a = fabs(x);

	return copysign(0.5 * weft_log1p_d(2.0 * a / (1.0 - a)), x);
}

/* x^y for float arguments with the special cases of IEEE 754's pow. */
WEFT_INLINE double weft_pow_d(double x, double y)
{
	double a = fabs(x);
	double half = 0.5 * y;
	int odd = y == floor(y) && half != floor(half);
	double e = y * weft_log_d(a);
	double r;

	e = a == 1.0 ? 0.0 : e;
	r = weft_exp_d(e);
	r = e > 700.0 ? (double)INFINITY : r;
	r = e < -700.0 ? 0.0 : r;
	r = e != e ? e : r;
	if (x < 0.0 || weft_bits64(x) >> 63) {
		r = odd ? -r : r;
		r = x < 0.0 && a < (double)INFINITY && y != floor(y) ? (double)NAN : r;
	}
	r = x == 1.0 || y == 0.0 ? 1.0 : r;
	/* |x| = 1 to an infinite power. */
	r = x == -1.0 && fabs(y) == (double)INFINITY ? 1.0 : r;
	return (x != x && y != 0.0) || (y != y && x != 1.0) ? (double)NAN : r;
}

#endif /* WEFT_ENGINE_REAL_H */
