/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors in the kernel's log, as kernels word them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pci/kmsg.h"

struct example {
	const char *record;
	enum kmsg_kind kind;
	const char *address;
	bool has_domain;
	const char *text;
};

static const struct example examples[] = {
	/* Linux 6.12, and 5.10 without the second "AER: " */
	{"3,1011,91212,-;e1000e 0000:04:00.0: AER: PCIe Bus Error: severity=Uncorrectable "
	 "(Non-Fatal), type=Transaction Layer, (Requester ID)\n SUBSYSTEM=pci\n",
	 KMSG_BUS_ERROR, "0000:04:00.0", true, "non-fatal: Transaction Layer, (Requester ID)"},
	/* as seen in the lab */
	{"4,1011,890747064,-;pcieport 0000:00:03.0: PCIe Bus Error: severity=Correctable, "
	 "type=Physical Layer, (Receiver ID)\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:03.0\n",
	 KMSG_BUS_ERROR, "0000:00:03.0", true, "corrected: Physical Layer, (Receiver ID)"},
	{"4,1,1,-;nvme 0001:04:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, "
	 "(Receiver ID)",
	 KMSG_BUS_ERROR, "0001:04:00.0", true, "corrected: Physical Layer, (Receiver ID)"},
	{"3,1,1,-,caller=T9;vfio-pci 0000:04:00.1: AER: PCIe Bus Error: severity=Uncorrectable "
	 "(Fatal), type=Inaccessible, (Unregistered Agent ID)",
	 KMSG_BUS_ERROR, "0000:04:00.1", true, "fatal: Inaccessible, (Unregistered Agent ID)"},
	{"4,1,1,-;pcieport 0000:00:04.0: DPC: containment event, status:0x1f01 source:0x0000",
	 KMSG_BUS_ERROR, "0000:00:04.0", true, "fatal: the port has disabled its link (DPC)"},
	{"3,1,1,-;DMAR: [DMA Write NO_PASID] Request device [05:00.0] fault addr 0xe000000 "
	 "[fault reason 0x05] PTE Write access is not set",
	 KMSG_DMA_FAULT, "0000:05:00.0", false,
	 "DMA Write at 0xe000000: PTE Write access is not set"},
	{"3,1,1,-;DMAR: [DMA Read] Request device [c5:1f.7] fault addr fffff000 [fault reason 06] "
	 "PTE Read access is not set",
	 KMSG_DMA_FAULT, "0000:c5:1f.7", false, "DMA Read at fffff000: PTE Read access is not set"},
	{"1,1,1,-;vfio-pci 0000:05:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0011 "
	 "address=0xe000000 flags=0x0020]",
	 KMSG_DMA_FAULT, "0000:05:00.0", true, "DMA at 0xe000000: page fault"},
	{"1,1,1,-;AMD-Vi: Event logged [IO_PAGE_FAULT device=0002:05:00.0 domain=0x0011 "
	 "address=0xe000000 flags=0x0020]",
	 KMSG_DMA_FAULT, "0002:05:00.0", true, "DMA at 0xe000000: page fault"},
	{"3,1,1,-;arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: 0000:05:00.0 "
	 "sid: 0x500 ssid: 0x0 iova: 0xe000000 ipa: 0x0",
	 KMSG_DMA_FAULT, "0000:05:00.0", true, "DMA at 0xe000000: F_TRANSLATION"},
};

static const char *const others[] = {
	"",
	";",
	"3,1,1,-",
	"3,1,1,-;",
	"6,1,1,-;e1000e 0000:04:00.0 eth0: NIC Link is Up",
	"4,1,1,-;pcieport 0000:00:04.0: AER: Corrected error message received from 0000:04:00.0",
	"3,1,1,-;DMAR: DRHD: handling fault status reg 2",
	"3,1,1,-;DMAR: [INTR-REMAP] Request device [f0:1f.0] fault index 0x0 [fault reason 0x22] x",
	/* a program wrote this: its facility is 1 */
	"11,1,1,-;e1000e 0000:04:00.0: AER: PCIe Bus Error: severity=Corrected, type=x",
	"3,1,1,-;e1000e 0000:04:20.0: AER: PCIe Bus Error: severity=Corrected, type=x",
	"3,1,1,-;PCIe Bus Error: severity=Corrected, type=x",
	"3,1,1,-;DMAR: [DMA Write] Request device [05:00.0",
	"3,1,1,-;DMAR: [DMA Write] Request device [] fault addr 1",
	"3,1,1,-;AMD-Vi: Event logged [IO_PAGE_FAULT device=0002:05:00.0",
	/* only the first line is the message */
	"6,1,1,-;hello\n DMAR: [DMA Read] Request device [c5:1f.7] fault addr f [fault reason 06] x",
};

static void test_examples(void **state)
{
	char text[PT_ADDRESS_TEXT];
	struct kmsg_error error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];

		if (!kmsg_parse(example->record, strlen(example->record), &error))
			fail_msg("not understood: %s", example->record);
		assert_int_equal(error.kind, example->kind);
		assert_string_equal(pt_address_format(&error.address, text), example->address);
		assert_int_equal(error.has_domain, example->has_domain);
		assert_string_equal(error.text, example->text);
	}
}

static void test_others(void **state)
{
	struct kmsg_error error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (kmsg_parse(others[i], strlen(others[i]), &error))
			fail_msg("taken for an error: %s", others[i]);
	}
}

/* Cut anywhere, nothing is read beyond the end and nothing unterminated comes out. */
static void test_cut(void **state)
{
	struct kmsg_error error;
	char exact[512];
	size_t i, size;

	(void)state;
	for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		for (size = 0; size < strlen(examples[i].record); size++) {
			memset(exact, ']', sizeof(exact));
			memcpy(exact, examples[i].record, size);
			(void)kmsg_parse(exact, size, &error);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
