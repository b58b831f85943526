#include "common/http/status.h"

#include "common/base/cleanup.h"

#define STATUS_NOT_FOUND 404
#define STATUS_SERVERS   500 /* from here on the server is at fault */
#define STATUS_END       600

static const struct {
	int status;
	enum outcome outcome;
} rows[] = {
	{HTTP_STATUS_OK, OUTCOME_OK},
	{400, OUTCOME_INVALID_ARGUMENT},
	{HTTP_STATUS_UNAUTHORIZED, OUTCOME_UNAUTHENTICATED},
	{HTTP_STATUS_FORBIDDEN, OUTCOME_PERMISSION_DENIED},
	{STATUS_NOT_FOUND, OUTCOME_UNIMPLEMENTED}, /* no such path; see below */
	{405, OUTCOME_UNIMPLEMENTED},
	{408, OUTCOME_UNAVAILABLE}, /* the request did not get through in time */
	{409, OUTCOME_FAILED_PRECONDITION},
	{411, OUTCOME_INVALID_ARGUMENT},
	{412, OUTCOME_FAILED_PRECONDITION},
	{413, OUTCOME_RESOURCE_EXHAUSTED}, /* a proxy's limit for bodies */
	{414, OUTCOME_INVALID_ARGUMENT},
	{415, OUTCOME_INVALID_ARGUMENT},
	{422, OUTCOME_INVALID_ARGUMENT},
	{425, OUTCOME_UNAVAILABLE},
	{429, OUTCOME_UNAVAILABLE}, /* a proxy's limit for calls: it is over some time */
	{431, OUTCOME_INVALID_ARGUMENT},
	{STATUS_SERVERS, OUTCOME_INTERNAL},
	{501, OUTCOME_UNIMPLEMENTED},
};

enum outcome http_outcome_of(int status, int code)
{
	/* A number of Flower's says that a run, a context or a bundle is not there. */
	if (status == STATUS_NOT_FOUND && code != 0)
		return OUTCOME_NOT_FOUND;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return rows[i].outcome;
	/* 502, 503, 504, and the numbers of their own that large proxies have. */
	if (status > STATUS_SERVERS && status < STATUS_END)
		return OUTCOME_UNAVAILABLE;
	return OUTCOME_UNKNOWN;
}

/* Workers of Flower's try again after 502, 503 and 504, and after nothing else. */
static const struct {
	int status, code;
} answers[] = {
	[OUTCOME_OK] = {HTTP_STATUS_OK, 0},
	[OUTCOME_CANCELLED] = {503, 0},
	[OUTCOME_UNKNOWN] = {STATUS_SERVERS, 0},
	[OUTCOME_INVALID_ARGUMENT] = {400, 1003},
	[OUTCOME_DEADLINE_EXCEEDED] = {408, 0},
	[OUTCOME_NOT_FOUND] = {STATUS_NOT_FOUND, 16},
	[OUTCOME_PERMISSION_DENIED] = {HTTP_STATUS_FORBIDDEN, 3014},
	[OUTCOME_UNAUTHENTICATED] = {HTTP_STATUS_UNAUTHORIZED, 1008},
	[OUTCOME_RESOURCE_EXHAUSTED] = {413, 0},
	[OUTCOME_FAILED_PRECONDITION] = {412, 3002},
	[OUTCOME_UNIMPLEMENTED] = {STATUS_NOT_FOUND, 0},
	[OUTCOME_INTERNAL] = {STATUS_SERVERS, 0},
	[OUTCOME_UNAVAILABLE] = {503, 0},
};

_Static_assert(ARRAY_LEN(answers) == OUTCOME_N, "each outcome has a status");

int http_status_of(enum outcome outcome)
{
	return answers[outcome].status;
}

int http_code_of(enum outcome outcome)
{
	return answers[outcome].code;
}
