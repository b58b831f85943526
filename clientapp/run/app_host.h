/*
 * app_host: the worker's end of an app process: waits for its hello, gives it the task, takes its
 * reply. Main thread of the worker; does not start or stop processes (the agent does).
 */
#ifndef FLWR_RUN_APP_HOST_H
#define FLWR_RUN_APP_HOST_H

#include "clientapp/run/app_form.h"
#include "common/base/log.h"
#include "common/loop/loop.h"

#define APP_HELLO_MS 120000 /* from the start of the app process to its hello */

struct app_host;

enum app_host_event {
	APP_HOST_HELLO,  /* the bridge runs and has imported flwr; app_host_hello_text() says which
			    python and flwr */
	APP_HOST_REPLY,  /* app_host_take_reply() */
	APP_HOST_BROKEN, /* it said something that is not in the form; app_host_reason() */
	APP_HOST_SILENT, /* no hello in time */
	APP_HOST_HUNG_UP /* the connection ended; how the process ended comes from the agent */
};

typedef void app_host_fn(void *arg, enum app_host_event event);

/* fd: our end of the SEQPACKET socketpair, taken over. NULL on no memory (fd is closed). fn is
 * never called from inside. */
struct app_host *app_host_new(struct loop *loop, int fd, app_host_fn *fn, void *arg);

/* Give it the task, once; may be called before its hello (it is sent then). 0 or -errno. */
int app_host_run(struct app_host *host, const struct app_task *task);

/* After APP_HOST_REPLY: moves the reply to *out. */
void app_host_take_reply(struct app_host *host, struct app_reply *out);
const char *app_host_reason(const struct app_host *host);
/* Was its hello that it can run no app, as without the flwr package? The reply then says so. */
bool app_host_refused(const struct app_host *host);
const char *app_host_hello_text(const struct app_host *host);
/*
 * The app process is dead: read what it still said (events come from inside, APP_HOST_REPLY among
 * them). true: no reply was and none will come.
 */
bool app_host_ended(struct app_host *host);

/* NULL is fine. */
void app_host_free(struct app_host *host);

#endif
