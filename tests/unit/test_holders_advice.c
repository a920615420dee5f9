/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What to do about a holder: the command of the manager that would start it again. */
#include "holders_tree.h"

#define NETWORK DIRECTORY "/net/eth0"
#define LINKS	"sys/devices/virtual/net/"

/* ---- processes ---- */

static void make_gpu(void)
{
	tree_function(DEVICE, "0x030000", "amdgpu");
	tree_node(DIRECTORY "/drm/card0", "drm", 226, 0, "dri/card0");
	tree_node(DIRECTORY "/drm/renderD128", "drm", 226, 128, "dri/renderD128");
	tree_device(DIRECTORY "/drm/card0/card0-DP-1", "drm", "DEVTYPE=drm_connector");
	tree_process(1, "systemd", "/dev/null");
}

/* What ends a holder for good: its manager's command, never a kill after which it comes back. */
static void advice_of_managers(void **state)
{
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	static const char *const groups[][2] = {
		{"0::/user.slice/user-1000.slice/user@1000.service/session.slice/wireplumber.service",
		 "systemctl --user -M 1000@ stop wireplumber.service"},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-vlc-77.scope",
		 "systemctl --user -M 1000@ stop app-gnome-vlc-77.scope"},
		{"0::/system.slice/docker-" ID ".scope", "docker stop 0123456789ab"},
		{"0::/docker/" ID, "docker stop 0123456789ab"},
		{"0::/machine.slice/libpod-" ID ".scope/container", "podman stop 0123456789ab"},
		{"0::/machine.slice/libpod-conmon-" ID ".scope", "podman stop 0123456789ab"},
		{"0::/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope",
		 "crictl stop 0123456789ab"},
		{"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope",
		 "crictl stop 0123456789ab"},
		{"0::/user.slice/user-7.slice/user@7.service/user.slice/libpod-" ID ".scope",
		 "systemctl --user -M 7@ stop libpod-" ID ".scope"},
		{"12:pids:/system.slice\n1:name=systemd:/system.slice/gdm.service",
		 "systemctl stop gdm.service"},
		{"0::/system.slice/foo.service/worker", "systemctl stop foo.service"},
		{"0::/user.slice/user-1000.slice/session-2.scope", "kill 812"},
	};
	char line[256];
	size_t i;

	(void)state;
	make_gpu();
	tree_process(812, "holder", "/dev/dri/card0");
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		tree_put("proc/812/cgroup", groups[i][0]);
		(void)snprintf(line, sizeof(line), "process|holder (pid 812)|/dev/dri/card0|%s",
			       groups[i][1]);
		tree_expect(DEVICE, line, NULL);
	}
	/* the first process is never killed */
	tree_process(1, "systemd", "/dev/dri/card0");
	tree_expect(DEVICE, line, "process|systemd (pid 1)|/dev/dri/card0|ls -l /proc/1/fd", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TREE_TEST(advice_of_managers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
