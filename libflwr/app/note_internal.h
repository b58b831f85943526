/*
 * note_internal: by which a copy of libflwr-app is known in any file that has one inside, be its
 * symbols hidden or gone: an ELF note. For flwr-native-host, which refuses an app with a copy of
 * its own.
 */
#ifndef FLWR_APP_NOTE_INTERNAL_H
#define FLWR_APP_NOTE_INTERNAL_H

#define LIBRARY_NOTE      "flwr-app" /* the note's name; 9 bytes with its NUL */
#define LIBRARY_NOTE_TYPE 1

#endif
