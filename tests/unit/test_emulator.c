/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An installed QEMU, asked for its machines; and guests that keep theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "guest_machine.h"

#include "base/io.h"
#include "daemon/guests/emulators.h"

#define PROGRAM "/usr/bin/qemu-system-x86_64"
#define MACHINE(of)                                                                                \
	"<domain type='qemu'><name>g</name><memory>65536</memory><os><type" of                     \
	">hvm</type></os></domain>"

static struct fake *machine;
static struct pt_host *host;
static struct context context;
static struct emulators *emulators;

static void install(const char *text)
{
	assert_int_equal(
		io_replace_at(host->root_fd, io_relative(PROGRAM), text, strlen(text), 0755), 0);
}

static int make(void **state)
{
	(void)state;
	machine = guest_machine_new();
	host = fake_host(machine);
	assert_int_equal(io_make_directories_at(host->root_fd, "usr/bin", 0755), 0);
	install("10.0");
	context = (struct context){.config.guest_user =
					   geteuid() == 0 ? "nobody" : guest_user().name};
	assert_int_equal(emulators_new(&context, &emulators, NULL), 0);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	emulators_free(emulators);
	guest_machine_free(machine);
	return 0;
}

static struct emulator ask(void)
{
	struct emulator emulator;
	struct pt_error err;

	if (emulators_get(emulators, host, PROGRAM, &emulator, &err) < 0)
		fail_msg("%s", err.message);
	return emulator;
}

static void test_what_it_says(void **state)
{
	struct emulator emulator = ask();
	siginfo_t info;

	(void)state;
	assert_int_equal(emulator.version, 10000000);
	assert_int_equal(emulator.machine_count, 4);
	assert_string_equal(emulator_find(&emulator, "q35")->name, "pc-q35-10.0");
	assert_ptr_equal(emulator_find(&emulator, "pc-q35-10.0"), emulator_find(&emulator, "q35"));
	assert_int_equal(emulator_find(&emulator, "pc-q35-4.2")->cpus_max, 288);
	assert_true(emulator_find(&emulator, "pc-q35-4.2")->is_deprecated);
	assert_null(emulator_find(&emulator, "virt"));
	emulator_free(&emulator);
	/* and nothing of it is left */
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Until its file is another one; a failure, for a while. */
static void test_asked_once(void **state)
{
	struct emulator emulator = ask();
	struct pt_error err;

	(void)state;
	emulator_free(&emulator);
	fake_guests_fault(machine, "query-machines", "once error GenericError busy");
	emulator = ask();
	emulator_free(&emulator);
	install("10.1");
	assert_int_equal(emulators_get(emulators, host, PROGRAM, &emulator, &err), -EREMOTEIO);
	assert_non_null(strstr(err.message, "busy"));
	/* what is in the way is gone, but it was just asked */
	err.message[0] = '\0';
	assert_int_equal(emulators_get(emulators, host, PROGRAM, &emulator, &err), -EREMOTEIO);
	assert_non_null(strstr(err.message, "busy"));
	install("10.2");
	emulator = ask();
	assert_int_equal(emulator.machine_count, 4);
	emulator_free(&emulator);
	/* one that ends, and one that there isn't */
	fake_guests_fault(machine, "query-machines", "once exit");
	install("10.3");
	assert_int_equal(emulators_get(emulators, host, PROGRAM, &emulator, &err), -ECONNRESET);
	assert_int_equal(emulators_get(emulators, host, "/usr/bin/none", &emulator, &err), -ENOENT);
	assert_string_equal(err.message, "/usr/bin/none: No such file or directory");
}

static void test_pinned(void **state)
{
	static const struct {
		const char *xml, *machine, *says;
	} cases[] = {
		{MACHINE(""), "pc-q35-10.0", NULL},
		{MACHINE(" machine='q35'"), "pc-q35-10.0", NULL},
		{MACHINE(" machine='pc'"), "pc-i440fx-10.0", NULL},
		{MACHINE(" machine='pc-q35-9.2'"), "pc-q35-9.2", NULL},
		{MACHINE(" machine='pc-q35-11.1'"), NULL,
		 "Emulator '/usr/bin/qemu-system-x86_64' does not support machine type "
		 "'pc-q35-11.1': it is QEMU 10.0.0; the nearest that it has is <type "
		 "machine='pc-q35-10.0'>"},
		{MACHINE(" machine='pc-q35-9.9'"), NULL, "machine='pc-q35-9.2'>"},
		{MACHINE(" machine='pc-q35-2.4'"), NULL, "machine='pc-q35-4.2'>"},
		{MACHINE(" machine='pc-i440fx-focal'"), NULL, "machine='pc-q35-10.0'>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition) struct definition *def = guest_definition(cases[i].xml);
		struct pt_error err;
		int r = emulators_pin_machine(emulators, host, def, &err);

		assert_int_equal(r, cases[i].machine ? 0 : -EOPNOTSUPP);
		if (cases[i].machine)
			assert_string_equal(definition_get(def, "os/type@machine"),
					    cases[i].machine);
		else if (!strstr(err.message, cases[i].says))
			fail_msg("%s isn't in %s", cases[i].says, err.message);
	}
}

/* What can't be asked has no say. */
static void test_no_emulator(void **state)
{
	AUTO(auto_definition) struct definition *def = guest_definition(MACHINE(" machine='q35'"));
	struct pt_error err;

	(void)state;
	assert_int_equal(unlinkat(host->root_fd, io_relative(PROGRAM), 0), 0);
	assert_int_equal(emulators_pin_machine(emulators, host, def, &err), 0);
	assert_string_equal(definition_get(def, "os/type@machine"), "q35");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_says, make, unmake),
		cmocka_unit_test_setup_teardown(test_asked_once, make, unmake),
		cmocka_unit_test_setup_teardown(test_pinned, make, unmake),
		cmocka_unit_test_setup_teardown(test_no_emulator, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
