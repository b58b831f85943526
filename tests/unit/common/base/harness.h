/*
 * harness: what cmocka wants to have included, in its order.
 */
#ifndef FLWR_TEST_HARNESS_H
#define FLWR_TEST_HARNESS_H

#include "common/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
