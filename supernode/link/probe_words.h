/*
 * probe_words: what a person is told when a SuperLink is not found: which step failed, and what
 * can be done. Main thread. Private to the probe.
 */
#ifndef FLWR_LINK_PROBE_WORDS_H
#define FLWR_LINK_PROBE_WORDS_H

#include "common/base/reason.h"
#include "common/http/client.h"

/* Is its certificate, or what we trust, the cause? */
bool probe_is_certificate(enum http_failure failure);

/* No answer came. */
void probe_say_failure(const char *address, const struct http_result *result, struct reason *why);
/* A proxy before it answers. */
void probe_say_status(const char *address, const struct http_result *result, struct reason *why);
/* A proxy that passes on plain HTTP wants to know who asks. */
void probe_say_password(const char *address, struct reason *why);
/* Something else answers. */
void probe_say_stranger(const char *address, const struct slices *body, struct reason *why);
/* TLS where none is configured; none where it is. */
void probe_say_tls(const char *address, struct reason *why);
void probe_say_plain(const char *address, struct reason *why);

#endif
