/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which trials of an exhaustive test are run: all of them, or one in TRIALS, chosen by SEED. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdbool.h>
#include <stdlib.h>

static inline unsigned long long sample_number(const char *variable, unsigned long long otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static inline bool sample(unsigned long long trial)
{
	unsigned long long one_in = sample_number("TRIALS", 1), x;

	/* splitmix64 of seed and number: the same trials are chosen wherever they run */
	x = sample_number("SEED", 1) * 0xbf58476d1ce4e5b9ULL + trial * 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return one_in < 2 || x % one_in == 0;
}

#endif
