/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directories of the host's, as root of the guest: what is in the file "from-host", and what may be
 * made beside it. virtio-fs: linux/fuse.h over queue 1 (virtio 1.2, 5.11). 9p: the messages of
 * 9P2000.L (github.com/chaos/diod, protocol.md) over queue 0.
 */
#include "virtio.h"

#define ROOM 512u

/* A request in the making, and its answer. */
struct talk {
	struct virtio virtio;
	struct virtio_queue queues[2];
	uint8_t *request, *answer;
	uint32_t size, answered;
};

static void add(struct talk *talk, const void *data, uint32_t size)
{
	memcpy(talk->request + talk->size, data, size);
	talk->size += size;
}

static void add8(struct talk *talk, uint8_t v)
{
	add(talk, &v, sizeof(v));
}

static void add16(struct talk *talk, uint16_t v)
{
	add(talk, &v, sizeof(v));
}

static void add32(struct talk *talk, uint32_t v)
{
	add(talk, &v, sizeof(v));
}

static void add64(struct talk *talk, uint64_t v)
{
	add(talk, &v, sizeof(v));
}

static uint16_t length(const char *text)
{
	uint16_t n = 0;

	while (text[n])
		n++;
	return n;
}

static bool begin(const struct function *f, struct talk *talk, uint16_t queues)
{
	if (!virtio_begin(f, &talk->virtio, 0))
		return false;
	for (uint16_t n = 0; n < queues; n++)
		virtio_make_queue(&talk->virtio, &talk->queues[n], n);
	virtio_start(&talk->virtio);
	talk->request = alloc_pages(1);
	talk->answer = alloc_pages(1);
	return true;
}

static bool ask(struct talk *talk, unsigned queue)
{
	*(uint32_t *)talk->request = talk->size;
	memset(talk->answer, 0, ROOM);
	talk->answered =
		virtio_ask(&talk->queues[queue], talk->request, talk->size, talk->answer, ROOM - 1);
	return talk->answered > 0;
}

static void tell(const char *kind, const char *text)
{
	print("guest: %s reads %s", kind, text);
}

/* ---- virtio-fs ---- */

enum {
	FUSE_LOOKUP = 1,
	FUSE_SETATTR = 4,
	FUSE_MKNOD = 8,
	FUSE_OPEN = 14,
	FUSE_READ = 15,
	FUSE_WRITE = 16,
	FUSE_INIT = 26,
	FUSE_CREATE = 35,
};

#define FUSE_ROOT   1u
#define FUSE_HEADER 16u /* of an answer */
#define FUSE_ENTRY  128u
#define FATTR_MODE  (1u << 0)
#define FATTR_OWNER (1u << 1 | 1u << 2)
#define REGULAR	    0100000u
#define CHARACTER   0020000u
#define SET_USER_ID 04755u
#define WRITE_ONLY  1u
#define FUSE_ERROR  4u /* where it is in an answer */

static void fuse_begin(struct talk *talk, uint32_t operation, uint64_t node)
{
	static uint64_t unique;

	talk->size = 0;
	add32(talk, 0);
	add32(talk, operation);
	add64(talk, ++unique);
	add64(talk, node);
	/* root's, of process 1 */
	add32(talk, 0);
	add32(talk, 0);
	add32(talk, 1);
	add32(talk, 0);
}

static bool fuse_ask(struct talk *talk)
{
	return ask(talk, 1) && read32(talk->answer + FUSE_ERROR) == 0;
}

static void fuse_add_name(struct talk *talk, const char *name)
{
	add(talk, name, length(name) + 1u);
}

static bool fuse_init(struct talk *talk)
{
	fuse_begin(talk, FUSE_INIT, 0);
	add32(talk, 7);
	add32(talk, 31);
	add32(talk, 0);
	add32(talk, 0);
	return fuse_ask(talk);
}

static bool fuse_read(struct talk *talk, const char *name)
{
	uint64_t node, handle;

	fuse_begin(talk, FUSE_LOOKUP, FUSE_ROOT);
	fuse_add_name(talk, name);
	if (!fuse_ask(talk))
		return false;
	node = read64(talk->answer + FUSE_HEADER);
	fuse_begin(talk, FUSE_OPEN, node);
	add64(talk, 0);
	if (!fuse_ask(talk))
		return false;
	handle = read64(talk->answer + FUSE_HEADER);
	fuse_begin(talk, FUSE_READ, node);
	add64(talk, handle);
	add64(talk, 0);
	add32(talk, 64);
	add32(talk, 0);
	add64(talk, 0);
	add64(talk, 0);
	return fuse_ask(talk);
}

static bool fuse_write(struct talk *talk, const char *name, const char *text, uint64_t *ret_node)
{
	uint64_t handle;

	fuse_begin(talk, FUSE_CREATE, FUSE_ROOT);
	add32(talk, WRITE_ONLY);
	add32(talk, REGULAR | 0644);
	add64(talk, 0);
	fuse_add_name(talk, name);
	if (!fuse_ask(talk))
		return false;
	*ret_node = read64(talk->answer + FUSE_HEADER);
	handle = read64(talk->answer + FUSE_HEADER + FUSE_ENTRY);
	fuse_begin(talk, FUSE_WRITE, *ret_node);
	add64(talk, handle);
	add64(talk, 0);
	add32(talk, length(text));
	add32(talk, 0);
	add64(talk, 0);
	add64(talk, 0);
	add(talk, text, length(text));
	return fuse_ask(talk);
}

static bool fuse_set(struct talk *talk, uint64_t node, uint32_t what, uint32_t mode)
{
	fuse_begin(talk, FUSE_SETATTR, node);
	add32(talk, what);
	add32(talk, 0);
	/* handle, size, owner of locks, three times */
	for (unsigned n = 0; n < 6; n++)
		add64(talk, 0);
	for (unsigned n = 0; n < 3; n++)
		add32(talk, 0);
	add32(talk, mode);
	add32(talk, 0);
	add32(talk, 1234);
	add32(talk, 1235);
	add32(talk, 0);
	return fuse_ask(talk);
}

static bool fuse_make_node(struct talk *talk, const char *name)
{
	fuse_begin(talk, FUSE_MKNOD, FUSE_ROOT);
	add32(talk, CHARACTER | 0666);
	add32(talk, 1 << 8 | 3);
	add64(talk, 0);
	fuse_add_name(talk, name);
	return fuse_ask(talk);
}

/* Whether it can be done is for the host to decide, and for who reads this. */
static const char *yes_or_no(bool is_so)
{
	return is_so ? "yes" : "no";
}

bool virtiofs_drive(const struct function *f)
{
	static struct talk talk;
	bool gives, raises, makes;
	uint64_t node;

	if (!begin(f, &talk, 2) || !fuse_init(&talk) || !fuse_read(&talk, "from-host"))
		return false;
	tell("virtiofs", (const char *)talk.answer + FUSE_HEADER);
	if (!fuse_write(&talk, "from-guest", "of the guest\n", &node))
		return false;
	raises = fuse_set(&talk, node, FATTR_MODE, REGULAR | SET_USER_ID);
	gives = fuse_set(&talk, node, FATTR_OWNER, 0);
	makes = fuse_make_node(&talk, "node");
	print("guest: virtiofs gives away %s, set-user-ID %s, makes nodes %s\n", yes_or_no(gives),
	      yes_or_no(raises), yes_or_no(makes));
	return true;
}

/* ---- 9p ---- */

enum { P9_LOPEN = 12, P9_VERSION = 100, P9_ATTACH = 104, P9_WALK = 110, P9_READ = 116 };

#define P9_NONE	  0xffffffffu
#define P9_HEADER 7u /* size, type and tag */

static void p9_begin(struct talk *talk, uint8_t type)
{
	talk->size = 0;
	add32(talk, 0);
	add8(talk, type);
	add16(talk, type == P9_VERSION ? 0xffff : 1);
}

static void p9_add_text(struct talk *talk, const char *text)
{
	add16(talk, length(text));
	add(talk, text, length(text));
}

/* An answer's type is one more than the question's. */
static bool p9_ask(struct talk *talk)
{
	return ask(talk, 0) && talk->answer[4] == talk->request[4] + 1;
}

static bool p9_attach(struct talk *talk)
{
	p9_begin(talk, P9_VERSION);
	add32(talk, PAGE_SIZE);
	p9_add_text(talk, "9P2000.L");
	if (!p9_ask(talk))
		return false;
	p9_begin(talk, P9_ATTACH);
	add32(talk, 0);
	add32(talk, P9_NONE);
	p9_add_text(talk, "root");
	p9_add_text(talk, "");
	add32(talk, 0);
	return p9_ask(talk);
}

static bool p9_read(struct talk *talk, const char *name)
{
	p9_begin(talk, P9_WALK);
	add32(talk, 0);
	add32(talk, 1);
	add16(talk, 1);
	p9_add_text(talk, name);
	if (!p9_ask(talk))
		return false;
	p9_begin(talk, P9_LOPEN);
	add32(talk, 1);
	add32(talk, 0);
	if (!p9_ask(talk))
		return false;
	p9_begin(talk, P9_READ);
	add32(talk, 1);
	add64(talk, 0);
	add32(talk, 64);
	return p9_ask(talk);
}

bool p9_drive(const struct function *f)
{
	static struct talk talk;

	if (!begin(f, &talk, 1) || !p9_attach(&talk) || !p9_read(&talk, "from-host"))
		return false;
	tell("9p", (const char *)talk.answer + P9_HEADER + 4);
	return true;
}
