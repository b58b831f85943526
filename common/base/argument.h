/*
 * argument: hides a secret on the command line of this process, which every user of the machine can
 * read in /proc while the process lives. Links nothing but libc.
 */
#ifndef FLWR_BASE_ARGUMENT_H
#define FLWR_BASE_ARGUMENT_H

/*
 * Overwrite each value of option ("--token"), as a word of its own behind it or behind a "=" in the
 * same word, by as many "x". argv is what main() got, and ends in NULL; texts that point there
 * change with it.
 */
void argument_hide(char *const *argv, const char *option);

#endif
