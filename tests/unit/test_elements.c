/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What elements of other people's definitions become, or why they are refused. */
#include "definition_read.h"

#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"

#define DOMAIN(inside)                                                                              \
	"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>g</name>" \
	"<memory>1048576</memory>" inside "</domain>"
#define OS		"<os><type>hvm</type></os>"
#define GUEST(inside)	DOMAIN(OS inside)
#define DEVICES(inside) GUEST("<devices>" inside "</devices>")
#define SHARED(inside)                                                                             \
	GUEST("<memoryBacking><access mode='shared'/></memoryBacking><devices>" inside "</devices>")
#define FILESYSTEM(more, inside)                                                                   \
	SHARED("<filesystem " more "><target dir='t'/>" inside "</filesystem>")
#define VIRTIOFS   "<driver type='virtiofs'/>"
#define SOURCE_DIR "<source dir='/s'/>"
#define DISK(target, more)                                                                         \
	"<disk type='file' device='disk'><source file='/d'/><target " target "/>" more "</disk>"

#define PC(inside)                                                                                 \
	DOMAIN("<os><type machine='pc-i440fx-9.2'>hvm</type></os><devices>" inside "</devices>")

static const struct command_line_files nothing = {.commands.fd = -1, .events.fd = -1};

/* As it is defined, and then started. */
static int line_of(const char *xml, char **ret_text, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = NULL, *live = NULL;
	AUTO(auto_command_line) char **argv = NULL;
	int r = definition_parse(xml, 0, &def, err);

	if (!r)
		r = definition_complete(def, err);
	if (!r)
		r = command_line_check(def, err);
	if (!r)
		r = definition_make_live(def, 1, &live, err);
	if (!r)
		r = command_line_build(live, &nothing, &argv, err);
	return r < 0 ? r : command_line_format(argv, ret_text, err);
}

static const struct {
	const char *xml;
	const char *wanted;   /* in QEMU's arguments */
	const char *unwanted; /* NULL: nothing */
} taken[] = {
	/* firmware boots what has a bootindex: the first of each kind, in the order of <os> */
	{DOMAIN("<os><type>hvm</type><boot dev='hd'/></os><devices>" DISK("dev='vda'", "")
			DISK("dev='vdb'", "") "</devices>"),
	 "\"drive\":\"virtio-disk0-format\",\"bootindex\":1", "order="},
	{DOMAIN("<os><type>hvm</type><boot dev='network'/><boot dev='cdrom'/></os><devices>"
		"<disk type='file' device='cdrom'><target dev='sda'/></disk>"
		"<interface type='user'><mac address='52:54:00:00:00:01'/></interface></devices>"),
	 "\"driver\":\"ide-cd\",\"id\":\"sata0-0-0\",\"bus\":\"ide.0\",\"bootindex\":2", NULL},
	{DOMAIN("<os><type>hvm</type><boot dev='network'/></os><devices><interface type='user'>"
		"<mac address='52:54:00:00:00:01'/></interface></devices>"),
	 "\"mac\":\"52:54:00:00:00:01\",\"bootindex\":1", NULL},

	/* the host's caches belong to models of the host's processor */
	{GUEST("<cpu mode='custom'><model>EPYC</model><cache mode='emulate' level='3'/></cpu>"),
	 "-cpu EPYC,l3-cache=on", "host-cache-info"},
	{GUEST("<cpu mode='host-passthrough'><cache mode='passthrough'/></cpu>"),
	 "host-cache-info=on,l3-cache=off", NULL},

	/* a loader that doesn't say what it is is a ROM */
	{DOMAIN("<os><type>hvm</type><loader>/rom</loader></os>"), "-bios /rom", "pflash"},
	{DOMAIN("<os><type>hvm</type><loader>/code</loader><nvram>/vars</nvram></os>"),
	 "pflash0=pflash0-format", "-bios"},

	{GUEST("<features><vmcoreinfo/></features>"), "{\"driver\":\"vmcoreinfo\"}", NULL},
	{GUEST("<features><vmcoreinfo state='off'/></features>"), "-smp", "vmcoreinfo"},
	{DEVICES("<controller type='pci' index='1' model='pcie-root-port'><model name='ioh3420'/>"
		 "</controller>"),
	 "{\"driver\":\"ioh3420\",\"id\":\"pci.1\"", NULL},
	{GUEST("<vcpu>4</vcpu>"), "-smp cpus=4,sockets=4,cores=1,threads=1", NULL},
	{GUEST("<vcpu current='2'>4</vcpu>"), "-smp cpus=2,maxcpus=4,sockets=4,cores=1,threads=1",
	 NULL},
	{DEVICES(DISK("dev='sda' bus='scsi'", "")), "\"device_id\":\"drive-scsi0-0-0-0\"", NULL},
	{DEVICES(DISK("dev='sda' bus='scsi'", "<serial>S1</serial>")), "\"device_id\":\"S1\"",
	 NULL},

	/* USB devices of the host sit on the guest's controller, as those do that say where */
	{DEVICES("<hostdev type='usb'><source guestReset='uninitialized'><address bus='1' device='3'/>"
		 "</source><boot order='2'/></hostdev>"),
	 "{\"driver\":\"usb-host\",\"id\":\"hostdev0\",\"hostdevice\":\"/dev/bus/usb/001/003\","
	 "\"guest-reset\":true,\"guest-resets-all\":false,\"bus\":\"usb.0\",\"bootindex\":2}",
	 NULL},
	{DEVICES("<input type='tablet' bus='usb'/><redirdev bus='usb' type='spicevmc'>"
		 "<address type='usb' bus='0' port='1'/></redirdev>"),
	 "{\"driver\":\"usb-tablet\",\"id\":\"input0\",\"bus\":\"usb.0\",\"port\":\"2\"}", NULL},
	{DEVICES("<controller type='usb' index='1' model='ich9-ehci1'/>"
		 "<controller type='usb' index='1' model='ich9-uhci1'><master startport='0'/>"
		 "</controller><input type='tablet' bus='usb'>"
		 "<address type='usb' bus='1' port='3'/></input>"),
	 "\"masterbus\":\"usb0.0\",\"firstport\":0", NULL},

	{DEVICES("<interface type='direct'><mac address='52:54:00:00:00:01'/>"
		 "<source dev='eth0' mode='bridge'/><model type='virtio'/></interface>"),
	 "{\"type\":\"tap\",\"id\":\"hostnet0\"", NULL},

	/* queues: two vectors of each, and two */
	{DEVICES("<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>"
		 "<model type='virtio'/><driver queues='4' rx_queue_size='1024' packed='on'/>"
		 "</interface>"),
	 "\"mq\":true,\"vectors\":10,\"rx_queue_size\":1024", NULL},
	{DEVICES("<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>"
		 "<model type='virtio'/><driver queues='4'/></interface>"),
	 "\"downscript\":\"no\",\"queues\":4}", NULL},
	{DEVICES("<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>"
		 "<model type='virtio'/><driver queues='1'/></interface>"),
	 "\"queues\":1}", "\"mq\""},
	/* what any virtio device may be told */
	{DEVICES(DISK("dev='vda'", "<driver name='qemu' iommu='on' ats='on' event_idx='off'/>")),
	 "\"event_idx\":false,\"iommu_platform\":true,\"ats\":true", NULL},
	{DEVICES("<rng model='virtio'><backend model='random'/><driver packed='on' "
		 "page_per_vq='off'/></rng>"),
	 "\"packed\":true,\"page-per-vq\":false", NULL},
	{DEVICES("<controller type='scsi' index='0' model='virtio-scsi'><driver ioeventfd='on'/>"
		 "</controller>"),
	 "\"ioeventfd\":true", NULL},

	/* directories of the host's */
	{SHARED("<filesystem><driver type='virtiofs' queue='512' packed='on'/><source dir='/s'/>"
		"<target dir='a tag'/></filesystem>"),
	 "{\"driver\":\"vhost-user-fs-pci\",\"id\":\"fs0\",\"chardev\":\"chr-vu-fs0\",\"queue-size\":512,"
	 "\"tag\":\"a tag\",\"packed\":true,\"bus\":\"pci.1\"",
	 "fsdev"},
	{SHARED("<filesystem type='mount'><driver type='virtiofs'/><source socket='/run/fs'/><target "
		"dir='t'/></filesystem>"),
	 "-chardev socket,id=chr-vu-fs0,path=/run/fs", "queue-size"},
	{SHARED(""), "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true",
	 NULL},
	{DEVICES("<filesystem type='mount'><source dir='/s,t'/><target dir='t'/><readonly/>"
		 "</filesystem>"),
	 "-fsdev local,security_model=passthrough,id=fsdev-fs0,path=/s,,t,readonly=on",
	 "vhost-user"},
	{DEVICES("<filesystem type='mount' accessmode='mapped' fmode='0640' dmode='750' multidevs="
		 "'remap'><driver type='path' wrpolicy='immediate' iommu='on'/><source dir='/s'/>"
		 "<target dir='t'/></filesystem>"),
	 "security_model=mapped,multidevs=remap,fmode=00640,dmode=0750,writeout=immediate", NULL},
	{DEVICES("<filesystem accessmode='squash'><source dir='/s'/><target dir='t'/></filesystem>"),
	 "security_model=none", NULL},

	/* a GPU of the host draws */
	{DEVICES("<graphics type='spice'><listen type='none'/><gl enable='yes' "
		 "rendernode='/dev/dri/renderD128'/></graphics><video><model type='virtio'>"
		 "<acceleration accel3d='yes'/></model></video>"),
	 "-spice port=0,disable-ticketing=on,seamless-migration=on,gl=on,rendernode=/dev/dri/renderD128",
	 "addr="},
	{DEVICES("<graphics type='spice'><listen type='none'/></graphics>"), "-spice port=0,",
	 "gl=on"},
	{DEVICES("<graphics type='vnc'/><graphics type='egl-headless'/><video><model type='virtio'>"
		 "<acceleration accel3d='yes'/></model></video><video><model type='virtio'>"
		 "<acceleration accel3d='yes'/></model></video>"),
	 "{\"driver\":\"virtio-gpu-gl-pci\",\"id\":\"video1\"", NULL},
	{DEVICES("<graphics type='egl-headless'><gl rendernode='/dev/dri/renderD129'/></graphics>"),
	 "-display egl-headless,rendernode=/dev/dri/renderD129", NULL},
	{DEVICES("<graphics type='spice'><gl enable='no'/></graphics><video><model type='virtio'>"
		 "<acceleration accel3d='no'/></model></video>"),
	 "\"virtio-vga\"", "gl=on"},

	{DEVICES("<vsock model='virtio'><cid auto='no' address='9'/></vsock>"),
	 "{\"driver\":\"vhost-vsock-pci\",\"id\":\"vsock0\",\"guest-cid\":9,\"bus\":\"pci.1\"",
	 NULL},

	/* threads by their own numbers; those that aren't named have the lowest that are left */
	{GUEST("<iothreads>2</iothreads><iothreadids><iothread id='2'/></iothreadids>"),
	 "{\"qom-type\":\"iothread\",\"id\":\"iothread2\"}' \\\n"
	 "-object '{\"qom-type\":\"iothread\",\"id\":\"iothread1\"}",
	 NULL},
	{GUEST("<iothreadids><iothread id='9'><poll max='5'/></iothread></iothreadids>"),
	 "\"id\":\"iothread9\",\"poll-max-ns\":5", NULL},

	/* buses before what sits on them, wherever they are written */
	{DEVICES("<hostdev mode='subsystem' type='pci'><source><address bus='1'/></source></hostdev>"
		 "<controller type='pci' index='1' model='pcie-root-port'/>"
		 "<controller type='pci' index='2' model='pcie-switch-upstream-port'/>"
		 "<controller type='pci' index='3' model='pcie-switch-downstream-port'/>"),
	 "\"driver\":\"vfio-pci\",\"id\":\"hostdev0\",\"host\":\"0000:01:00.0\",\"bus\":\"pci.3\"",
	 NULL},
	{DEVICES("<controller type='pci' index='1' model='dmi-to-pci-bridge'/>"
		 "<controller type='pci' index='2' model='pci-bridge'/>"
		 "<sound model='ac97'><address type='pci' bus='2' slot='1'/></sound>"),
	 "{\"driver\":\"pci-bridge\",\"id\":\"pci.2\",\"chassis_nr\":2,\"bus\":\"pci.1\",\"addr\":"
	 "\"0x0\"}",
	 NULL},
	{DEVICES("<controller type='pci' index='1' model='pcie-expander-bus'/>"
		 "<controller type='pci' index='2' model='pcie-root-port'><address type='pci' "
		 "bus='1' slot='0'/></controller><hostdev mode='subsystem' type='pci'><source>"
		 "<address bus='1'/></source><address type='pci' bus='2' slot='0'/></hostdev>"),
	 "{\"driver\":\"pxb-pcie\",\"id\":\"pci.1\",\"bus_nr\":254,\"bus\":\"pcie.0\"", NULL},
	{GUEST("<cpu mode='host-model'><numa><cell id='0' cpus='0' memory='1048576'/></numa></cpu>"
	       "<devices><controller type='pci' index='1' model='pcie-expander-bus'><target "
	       "busNr='180'><node>0</node></target></controller></devices>"),
	 "\"bus_nr\":180,\"numa_node\":0", NULL},
	{DEVICES("<interface type='user'><mac address='52:54:00:00:00:01'/><model type='vmxnet3'/>"
		 "<address type='pci' domain='0' bus='0' slot='0' function='0'/></interface>"),
	 "{\"driver\":\"vmxnet3\"", "\"addr\":\"0x0.0x0\""},

	{GUEST("<cpu mode='host-model'><model fallback='allow'/></cpu>"), "-cpu host", NULL},
	{GUEST("<cpu mode='custom'><model vendor_id='AuthenticAMD'>qemu64</model></cpu>"),
	 "-cpu qemu64,vendor=AuthenticAMD", NULL},
	{GUEST("<clock offset='utc'><timer name='pit' present='no'/><timer name='rtc' present='no'/>"
	       "</clock>"),
	 ",pit=off", NULL},
	{GUEST("<clock offset='utc'><timer name='tsc' present='no'/></clock>"), "tsc=off", NULL},
	{GUEST("<features><smm state='on'><tseg>16</tseg></smm></features>"),
	 "mch.extended-tseg-mbytes=16", NULL},
	{DEVICES(DISK("dev='sda' bus='sata' rotation_rate='7200'", "")), "\"rotation_rate\":7200",
	 NULL},
	{DEVICES(DISK("dev='sda' bus='usb' removable='on'", "")), "\"removable\":true", NULL},
	{DEVICES("<disk type='block' device='cdrom'><target dev='sda'/></disk>"),
	 "\"driver\":\"ide-cd\"", "\"drive\""},
	/* without a balloon the guest has all of its memory */
	{GUEST("<currentMemory>65536</currentMemory>"), "-m size=1048576k", NULL},
	{DEVICES("<interface type='hostdev'><mac address='52:54:00:00:00:01'/><source><address "
		 "bus='1'/></source><model type='virtio'/></interface>"),
	 "vfio-pci", "virtio-net"},
	{DEVICES("<audio id='1' type='pulseaudio' serverName='/run/user/1000/pulse/native'><input "
		 "mixingEngine='no' name='mic'/><output latency='20'><settings frequency='48000' "
		 "channels='2' format='s16'/></output></audio>"),
	 "{\"driver\":\"pa\",\"id\":\"audio1\",\"server\":\"/run/user/1000/pulse/native\",\"in\":"
	 "{\"mixing-engine\":false,\"name\":\"mic\"},\"out\":{\"frequency\":48000,\"channels\":2,"
	 "\"format\":\"s16\",\"latency\":20}}",
	 NULL},
	{DEVICES("<audio id='1' type='jack'><output clientName='vm' connectPorts='sys.*'/></audio>"),
	 "\"out\":{\"client-name\":\"vm\",\"connect-ports\":\"sys.*\"}", "\"in\""},
	{GUEST("<genid/>"), "{\"driver\":\"vmgenid\",\"guid\":\"", NULL},
	{GUEST("<vcpus><vcpu id='0' enabled='yes'/><vcpu id='1' enabled='no'/></vcpus>"
	       "<vcpu current='1'>2</vcpu>"),
	 "cpus=1,maxcpus=2", NULL},
	{GUEST("<qemu:override><qemu:device alias='virtio-disk0'><qemu:frontend><qemu:property "
	       "name='serial' type='string' value='x,y'/><qemu:property name='num-queues' "
	       "type='unsigned' value='0x2'/><qemu:property name='bootindex' type='remove'/>"
	       "</qemu:frontend></qemu:device></qemu:override><devices>" DISK(
		       "dev='vda'", "<boot order='1'/>") "</devices>"),
	 "\"serial\":\"x,y\",\"num-queues\":2}", "bootindex"},
	{GUEST("<qemu:capabilities><qemu:add capability='a'/><qemu:del capability='b'/>"
	       "</qemu:capabilities><seclabel type='none' model='none'/>"),
	 "-smp", NULL},
};

/* The host's words, but for its number and its case. */
static void test_smbios_of_the_host(void **state)
{
	static const struct command_line_smbios words[] = {{"system", "manufacturer", "A, B"},
							   {"system", "uuid", "1"},
							   {"baseBoard", "asset", "2"},
							   {"chassis", "serial", "3"}};
	const struct command_line_files files = {
		.commands.fd = -1, .events.fd = -1, .smbios = words, .smbios_count = 4};
	AUTO(auto_definition)
	struct definition *def =
		parse_text(DOMAIN("<os><type>hvm</type><smbios mode='host'/></os>"), 0);
	AUTO(auto_definition) struct definition *live = NULL;
	AUTO(auto_command_line) char **argv = NULL;
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	assert_int_equal(command_line_build(live, &files, &argv, NULL), 0);
	assert_int_equal(command_line_format(argv, &text, NULL), 0);
	assert_non_null(strstr(text, "-smbios 'type=1,manufacturer=A,, B' \\\n"
				     "-smbios type=2,asset=2 \\\n"));
	assert_null(strstr(text, "type=0"));
	assert_null(strstr(text, "type=3"));
}

static void test_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		AUTO_FREE char *text = NULL;
		struct pt_error err = {0};

		if (line_of(taken[i].xml, &text, &err) < 0)
			fail_msg("%s:\n%s", taken[i].xml, err.message);
		if (!strstr(text, taken[i].wanted))
			fail_msg("%s:\n%s isn't in\n%s", taken[i].xml, taken[i].wanted, text);
		if (taken[i].unwanted && strstr(text, taken[i].unwanted))
			fail_msg("%s:\n%s is in\n%s", taken[i].xml, taken[i].unwanted, text);
	}
}

static const struct {
	const char *xml;
	const char *says;
} refused[] = {
	{DEVICES(DISK("dev='vda'", "<driver name='qemu' iothread='5'/>")),
	 "disk: IOThread '5' not defined"},
	{GUEST("<iothreads>1</iothreads><cputune><iothreadpin iothread='2' cpuset='0'/></cputune>"),
	 "iothreadpin: IOThread '2' not defined"},
	{GUEST("<iothreadids><iothread id='1'/><iothread id='1'/></iothreadids>"),
	 "1 is the number of two I/O threads"},
	{GUEST("<qemu:commandline><qemu:arg value='-set'/><qemu:arg value='device.hostdev0.x-a=1'/>"
	       "</qemu:commandline>"),
	 "<qemu:device alias='hostdev0'>"},
	{GUEST("<qemu:override><qemu:device alias='nobody'/></qemu:override>"),
	 "no device with the alias nobody"},
	{GUEST("<qemu:override><qemu:device alias='virtio-disk0'><qemu:frontend><qemu:property "
	       "name='a' type='unsigned' value='-1'/></qemu:frontend></qemu:device></qemu:override>"
	       "<devices>" DISK("dev='vda'", "") "</devices>"),
	 "the value '-1' of the property a isn't unsigned"},
	{GUEST("<cpu mode='custom'><model>EPYC</model><cache mode='passthrough'/></cpu>"),
	 "needs cpu@mode='host-passthrough'"},
	{DEVICES(DISK("dev='vda' rotation_rate='1'", "")), "rotation_rate needs a disk on the bus"},
	{DEVICES(DISK("dev='vda' removable='on'", "")), "removable needs the bus usb"},
	{GUEST("<features><smm state='off'><tseg>16</tseg></smm></features>"),
	 "with smm state='on'"},
	{GUEST("<vcpus><vcpu id='0' enabled='no'/><vcpu id='1' enabled='yes'/></vcpus>"
	       "<vcpu current='1'>2</vcpu>"),
	 "vCPU 0 is off, but the first 1"},
	{DEVICES("<tpm model='tpm-crb'><backend type='emulator' version='2.0'><profile "
		 "name='custom:small'/></backend></tpm>"),
	 "only default-v1 is supported"},
	{DEVICES("<interface type='bridge'><source bridge='b'/><model type='e1000'/>"
		 "<driver queues='2'/></interface>"),
	 "interface/driver@queues is for virtio devices"},
	{DEVICES("<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>"
		 "<driver queues='64'/></interface><interface type='bridge'><mac "
		 "address='52:54:00:00:00:02'/><source bridge='b'/><driver queues='64'/></interface>"
		 "<interface type='bridge'><mac address='52:54:00:00:00:03'/><source bridge='b'/>"
		 "</interface>"),
	 "have 129 queues; together they can have at most 128"},
	{DEVICES("<graphics type='spice'><gl enable='yes'/></graphics>"),
	 "only to clients of this host; add <listen type='none'/>"},
	{DEVICES("<graphics type='egl-headless'/><video><model type='qxl'><acceleration "
		 "accel3d='yes'/></model></video>"),
	 "needs a model of type='virtio'"},
	{DEVICES("<graphics type='vnc'/><video><model type='virtio'><acceleration accel3d='yes'/>"
		 "</model></video>"),
	 "needs a GPU of the host: add <graphics type='egl-headless'/>"},
	{DEVICES("<graphics type='egl-headless' port='5900'/>"), "graphics@port isn't supported"},
	{DEVICES("<filesystem>" VIRTIOFS SOURCE_DIR "<target dir='t'/></filesystem>"),
	 "the guest's memory itself, which is private; share it: <memoryBacking>"},
	{GUEST("<memoryBacking><access mode='shared'/></memoryBacking><cpu><numa><cell id='0' cpus='0' "
	       "memory='524288'/><cell id='1' cpus='1' memory='524288' memAccess='private'/></numa></cpu>"
	       "<vcpu>2</vcpu><devices><filesystem>" VIRTIOFS SOURCE_DIR
	       "<target dir='t'/></filesystem></devices>"),
	 "which is private"},
	{FILESYSTEM("", VIRTIOFS), "filesystem/source is missing"},
	{FILESYSTEM("", VIRTIOFS "<source/>"), "filesystem/source@dir: is missing"},
	{SHARED("<filesystem>" SOURCE_DIR "<target dir=''/></filesystem>"),
	 "mounts the directory by"},
	{SHARED("<filesystem>" SOURCE_DIR "<target dir='12345678901234567890123456789012'/>"
		"</filesystem>"),
	 "31 with 9p"},
	{SHARED("<filesystem>" SOURCE_DIR "<target dir='t'/></filesystem><filesystem>" SOURCE_DIR
		"<target dir='t'/></filesystem>"),
	 "have the same target"},
	{FILESYSTEM("accessmode='mapped'", VIRTIOFS SOURCE_DIR), "virtiofs has only passthrough"},
	{FILESYSTEM("fmode='600'", VIRTIOFS SOURCE_DIR), "@fmode: virtiofs has no such thing"},
	{FILESYSTEM("fmode='600'", SOURCE_DIR), "fmode and dmode need accessmode='mapped'"},
	{FILESYSTEM("accessmode='mapped' dmode='689'", SOURCE_DIR), "dmode '689' is not an octal"},
	{FILESYSTEM("", "<binary xattr='on'/>" SOURCE_DIR), "only with <driver type='virtiofs'/>"},
	{FILESYSTEM("", "<source socket='/s'/>"), "it goes with <driver type='virtiofs'/>"},
	{FILESYSTEM("", VIRTIOFS "<source socket='/s'/><readonly/>"), "has its options already"},
	{FILESYSTEM("", VIRTIOFS SOURCE_DIR "<idmap/>"), "filesystem/idmap isn't supported"},
	{DEVICES("<vsock model='virtio'><cid auto='no' address='9'/><driver ioeventfd='on'/></vsock>"),
	 "driver@ioeventfd isn't supported"},
	{DEVICES(DISK("dev='sda' bus='sata'", "<driver name='qemu' queues='2'/>")),
	 "disk/driver@queues is for virtio devices"},
	{DEVICES("<controller type='pci' index='1' model='pcie-expander-bus'><target busNr='9'>"
		 "<node>1</node></target></controller>"),
	 "the guest has no NUMA cell 1"},
	{DEVICES("<controller type='pci' index='1' model='pcie-expander-bus'><target busNr='9'/>"
		 "</controller><controller type='pci' index='2' model='pcie-expander-bus'>"
		 "<target busNr='9'/></controller>"),
	 "two expander buses have this number"},
	{DEVICES("<controller type='pci' index='1' model='pcie-expander-bus'/><rng model='virtio'>"
		 "<backend model='random'/><address type='pci' bus='1' slot='0'/></rng>"),
	 "a device of this kind can't be at 0000:01:00.0"},
	{PC("<controller type='pci' index='1' model='pcie-expander-bus'/>"),
	 "model='pcie-expander-bus' can't be in the machine pc"},
	{DEVICES("<controller type='pci' index='1' model='pci-bridge'/>"), "No more available PCI"},
	{DEVICES(DISK("dev='hda' bus='ide'", "")), "IDE controllers are unsupported"},
	{PC("<controller type='pci' index='1' model='pcie-root-port'/>"),
	 "model='pcie-root-port' can't be in the machine pc"},
	{PC("<watchdog model='itco'/>"), "needs the machine q35"},
	{DOMAIN("<os><type machine='pc'>hvm</type></os><features><smm state='on'><tseg>16</tseg></smm>"
		"</features>"),
	 "tseg needs the machine q35"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		AUTO_FREE char *text = NULL;
		struct pt_error err = {0};

		if (line_of(refused[i].xml, &text, &err) >= 0)
			fail_msg("%s:\nis taken", refused[i].xml);
		if (!strstr(err.message, refused[i].says))
			fail_msg("%s:\n%s", refused[i].xml, err.message);
	}
}

/* An empty <genid/> gets a number, and keeps it. */
static void test_genid(void **state)
{
	AUTO(auto_definition) struct definition *def = parse_text(GUEST("<genid/>"), 0);
	AUTO_FREE char *text = format_text(def, 0);
	AUTO(auto_definition) struct definition *again = parse_text(text, 0);

	(void)state;
	assert_int_equal(strlen(definition_get(def, "genid")), 36);
	assert_string_equal(definition_get(def, "genid"), definition_get(again, "genid"));
}

/* On machine pc any free slot of its one bus takes a device while the guest runs. */
static void test_plugged_into_pc(void **state)
{
	AUTO(auto_definition) struct definition *def = parse_text(PC(DISK("dev='vda'", "")), 0);
	AUTO(auto_definition)
	struct definition *one = parse_device(
		"<hostdev mode='subsystem' type='pci'><source><address bus='1'/></source></hostdev>");
	AUTO(auto_definition)
	struct definition *occupied = parse_device(
		"<hostdev mode='subsystem' type='pci'><source><address bus='2'/></source><address "
		"type='pci' domain='0' bus='0' slot='1' function='0'/></hostdev>");
	AUTO(auto_definition) struct definition *live = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(definition_complete(def, &err), 0);
	assert_int_equal(definition_make_live(def, 1, &live, &err), 0);
	assert_int_equal(definition_place_device(live, one, &err), 0);
	assert_string_equal(definition_get(one, "address@bus"), "0x00");
	assert_string_equal(definition_get(one, "address@slot"), "0x04");
	assert_true(definition_place_device(live, occupied, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),		cmocka_unit_test(test_smbios_of_the_host),
		cmocka_unit_test(test_refused),		cmocka_unit_test(test_genid),
		cmocka_unit_test(test_plugged_into_pc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
