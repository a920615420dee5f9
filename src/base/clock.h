/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in ms: for deadlines, never for dates. */
int64_t clock_now_ms(void);

/* A signal may end it earlier. */
void clock_sleep_ms(unsigned int ms);

#endif
