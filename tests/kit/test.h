/*
 * test: what every unit test includes: cmocka, with what it wants to have included before it.
 */
#ifndef FLWR_KIT_TEST_H
#define FLWR_KIT_TEST_H

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
#include <unistd.h>

#include <cmocka.h>

#endif
