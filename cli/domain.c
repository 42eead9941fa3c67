/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/domain.h"

#include <xenwright/domain.h>
#include <xenwright/host.h>

void cli_domain_names(const struct cli_call *call, struct cli_candidates *out)
{
    struct xw_domain *domains = NULL;
    struct xw_host *host;

    (void)call;
    if (xw_host_open(&host, NULL))
        return;
    if (!xw_domain_list(host, &domains, NULL)) {
        for (const struct xw_domain *domain = domains; domain; domain = domain->next) {
            if (*domain->name)
                cli_candidate(out, domain->name, xw_domain_type_name(domain->type));
        }
    }
    xw_domain_free(domains);
    xw_host_close(host);
}
