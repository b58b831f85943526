#include "supernode/workers/launchers.h"

#include "common/base/clock.h"
#include "supernode/workers/refuse.h"

#include <stdio.h>

bool launchers_admit(const struct launchers *launchers, struct request *request)
{
	const char *texts[PROOF_N];
	char path[128];

	if (!launchers->auth)
		return true;
	for (size_t i = 0; i < PROOF_N; i++)
		texts[i] = request_header(request, launcher_headers[i]);
	snprintf(path, sizeof path, "/%s/%s", request->service->name, request->method->name);
	if (launcher_auth_verify(launchers->auth, path, &request->body, clock_wall_s(), texts))
		return true;
	refuse(launchers->guests, request, OUTCOME_UNAUTHENTICATED,
		"who asks for work must sign with the secret of this SuperNode's launchers");
	return false;
}
