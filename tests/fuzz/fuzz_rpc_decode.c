/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A procedure's number (two bytes) and a payload: arguments, results and errors that can be
 * decoded are encoded again to as many bytes, and decode to the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "rpc/frames.h"
#include "rpc/procedures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(xdrproc_t type, size_t struct_size, const uint8_t *data, size_t size)
{
	static const struct frame_header header;
	struct frame_bytes bytes, again;
	void *decoded;

	if (!type || rpc_decode(type, struct_size, data, size, &decoded) < 0)
		return;
	if (frame_write(&header, type, decoded, &bytes) < 0)
		abort();
	rpc_free(type, decoded);
	if (bytes.size != size + FRAME_LENGTH_SIZE + FRAME_HEADER_SIZE)
		abort();
	data = bytes.bytes + FRAME_LENGTH_SIZE + FRAME_HEADER_SIZE;
	if (rpc_decode(type, struct_size, data, size, &decoded) < 0 ||
	    frame_write(&header, type, decoded, &again) < 0 || again.size != bytes.size ||
	    memcmp(again.bytes, bytes.bytes, bytes.size) != 0)
		abort();
	rpc_free(type, decoded);
	free(bytes.bytes);
	free(again.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rpc_procedure *procedure;

	if (size < 2)
		return 0;
	procedure = rpc_procedure_find(data[0] << 8 | data[1]);
	data += 2;
	size -= 2;
	if (procedure) {
		check(procedure->args, procedure->args_size, data, size);
		check(procedure->result, procedure->result_size, data, size);
	}
	check((xdrproc_t)xdr_rpc_error, sizeof(struct rpc_error), data, size);
	return 0;
}
