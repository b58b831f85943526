/*
 * harden: the first thing that the programs do, so that their memory stays their own.
 */
#ifndef FLWR_BASE_HARDEN_H
#define FLWR_BASE_HARDEN_H

#include <stdint.h>

/*
 * Keep other processes of our user, apps above all, from reading our memory, environment and
 * descriptors (/proc, ptrace), and leave no core file with keys and tokens in it. The programs that
 * we execute can be looked at again, as they are their user's. Returns the soft limit of core files
 * in bytes that there was, for those that are given it back.
 */
uint64_t harden_program(void);

#endif
