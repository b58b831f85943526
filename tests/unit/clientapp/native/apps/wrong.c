/* WRONG says which wrong app this is. */
#include <flwr/clientapp.h>

#include <stdlib.h>

#define NO_FUNCTION  1
#define HIDDEN       2
#define RETURNS_NULL 3
#define NO_REASON    4
#define VERSION      5
#define SHORT        6
#define LONGER       7
#define TABLE        8
#define MISSING      9
#define ENDS         10

static int handle(struct flwr_call *call)
{
	(void)call;
	return 0;
}

static const struct flwr_handler handlers[] = {
#if WRONG == TABLE
	{"training", handle, NULL},
#endif
	{"train", handle, NULL}, {NULL, NULL, NULL}};

#if WRONG == NO_FUNCTION
FLWR_API const struct flwr_handler *other(void);
const struct flwr_handler *other(void)
{
	return handlers;
}
#elif WRONG == HIDDEN
/* Its header is not this one, which declares it FLWR_API. */
__attribute__((visibility("hidden"))) const struct flwr_clientapp *make(void);
const struct flwr_clientapp *make(void)
{
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return &app;
}
#else
#if WRONG == MISSING
FLWR_API int flwr_of_the_future(void);
#endif

struct longer {
	struct flwr_clientapp app;
	const void *more[2];
};

const struct flwr_clientapp *flwr_app(void)
{
	static struct longer longer = {
		{sizeof longer.app, FLWR_VERSION, handlers, NULL}, {NULL, NULL}};
	static const struct flwr_clientapp *const app = &longer.app;

#if WRONG == RETURNS_NULL
	flwr_failf("no camera at %s", "/dev/video0");
	return NULL;
#elif WRONG == NO_REASON
	return NULL;
#elif WRONG == VERSION
	longer.app.version = 990000;
#elif WRONG == SHORT
	longer.app.size = 8;
#elif WRONG == LONGER
	longer.app.size = sizeof longer;
	longer.app.version = FLWR_VERSION + 300;
	longer.more[1] = handlers;
#elif WRONG == MISSING
	flwr_of_the_future();
#elif WRONG == ENDS
	exit(5);
#endif
	return app;
}
#endif
