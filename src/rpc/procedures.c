/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/procedures.h"

#include <errno.h>
#include <stdlib.h>

#define NONE	   NULL, 0
#define TYPE(name) (xdrproc_t) xdr_##name, sizeof(struct name)

static const struct rpc_procedure procedures[] = {
	{RPC_CONNECT_OPEN, "virConnectOpen", TYPE(rpc_open_args), NONE, false},
	{RPC_CONNECT_CLOSE, "virConnectClose", NONE, NONE, false},
	{RPC_CONNECT_GET_TYPE, "virConnectGetType", NONE, TYPE(rpc_text), false},
	{RPC_CONNECT_GET_VERSION, "virConnectGetVersion", NONE, TYPE(rpc_long), false},
	{RPC_NODE_GET_INFO, "virNodeGetInfo", NONE, TYPE(rpc_node_info), false},
	{RPC_CONNECT_GET_CAPABILITIES, "virConnectGetCapabilities", NONE, TYPE(rpc_text), false},
	{RPC_DOMAIN_ATTACH_DEVICE, "virDomainAttachDevice", TYPE(rpc_domain_text_args), NONE, true},
	{RPC_DOMAIN_CREATE, "virDomainCreate", TYPE(rpc_domain_args), NONE, true},
	{RPC_DOMAIN_CREATE_XML, "virDomainCreateXML", TYPE(rpc_text_flags), TYPE(rpc_domain), true},
	{RPC_DOMAIN_DEFINE_XML, "virDomainDefineXML", TYPE(rpc_text), TYPE(rpc_domain), true},
	{RPC_DOMAIN_DESTROY, "virDomainDestroy", TYPE(rpc_domain_args), NONE, true},
	{RPC_DOMAIN_DETACH_DEVICE, "virDomainDetachDevice", TYPE(rpc_domain_text_args), NONE, true},
	{RPC_DOMAIN_GET_XML_DESC, "virDomainGetXMLDesc", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_text), false},
	{RPC_DOMAIN_GET_AUTOSTART, "virDomainGetAutostart", TYPE(rpc_domain_args), TYPE(rpc_number),
	 false},
	{RPC_DOMAIN_GET_INFO, "virDomainGetInfo", TYPE(rpc_domain_args), TYPE(rpc_domain_info),
	 false},
	{RPC_DOMAIN_GET_MAX_MEMORY, "virDomainGetMaxMemory", TYPE(rpc_domain_args), TYPE(rpc_long),
	 false},
	{RPC_DOMAIN_GET_MAX_VCPUS, "virDomainGetMaxVcpus", TYPE(rpc_domain_args), TYPE(rpc_number),
	 false},
	{RPC_DOMAIN_GET_OS_TYPE, "virDomainGetOSType", TYPE(rpc_domain_args), TYPE(rpc_text),
	 false},
	{RPC_DOMAIN_GET_VCPUS, "virDomainGetVcpus", TYPE(rpc_vcpus_args), TYPE(rpc_vcpus), false},
	{RPC_LIST_DEFINED_DOMAINS, "virConnectListDefinedDomains", TYPE(rpc_number),
	 TYPE(rpc_names), false},
	{RPC_DOMAIN_LOOKUP_BY_ID, "virDomainLookupByID", TYPE(rpc_number), TYPE(rpc_domain), false},
	{RPC_DOMAIN_LOOKUP_BY_NAME, "virDomainLookupByName", TYPE(rpc_text), TYPE(rpc_domain),
	 false},
	{RPC_DOMAIN_LOOKUP_BY_UUID, "virDomainLookupByUUID", TYPE(rpc_named_uuid), TYPE(rpc_domain),
	 false},
	{RPC_NUM_OF_DEFINED_DOMAINS, "virConnectNumOfDefinedDomains", NONE, TYPE(rpc_number),
	 false},
	{RPC_DOMAIN_REBOOT, "virDomainReboot", TYPE(rpc_domain_flags_args), NONE, true},
	{RPC_DOMAIN_RESUME, "virDomainResume", TYPE(rpc_domain_args), NONE, true},
	{RPC_DOMAIN_SET_AUTOSTART, "virDomainSetAutostart", TYPE(rpc_domain_number_args), NONE,
	 true},
	{RPC_DOMAIN_SHUTDOWN, "virDomainShutdown", TYPE(rpc_domain_args), NONE, true},
	{RPC_DOMAIN_SUSPEND, "virDomainSuspend", TYPE(rpc_domain_args), NONE, true},
	{RPC_DOMAIN_UNDEFINE, "virDomainUndefine", TYPE(rpc_domain_args), NONE, true},
	{RPC_LIST_DEFINED_NETWORKS, "virConnectListDefinedNetworks", TYPE(rpc_number),
	 TYPE(rpc_names), false},
	{RPC_LIST_DOMAINS, "virConnectListDomains", TYPE(rpc_number), TYPE(rpc_domain_ids), false},
	{RPC_LIST_NETWORKS, "virConnectListNetworks", TYPE(rpc_number), TYPE(rpc_names), false},
	{RPC_NETWORK_LOOKUP_BY_NAME, "virNetworkLookupByName", TYPE(rpc_text),
	 TYPE(rpc_uuid_object), false},
	{RPC_NUM_OF_DEFINED_NETWORKS, "virConnectNumOfDefinedNetworks", NONE, TYPE(rpc_number),
	 false},
	{RPC_NUM_OF_DOMAINS, "virConnectNumOfDomains", NONE, TYPE(rpc_number), false},
	{RPC_NUM_OF_NETWORKS, "virConnectNumOfNetworks", NONE, TYPE(rpc_number), false},
	{RPC_DOMAIN_SAVE, "virDomainSave", TYPE(rpc_domain_text_args), NONE, true},
	{RPC_DOMAIN_GET_SCHEDULER_TYPE, "virDomainGetSchedulerType", TYPE(rpc_domain_args),
	 TYPE(rpc_scheduler_type), false},
	{RPC_DOMAIN_GET_SCHEDULER_PARAMETERS, "virDomainGetSchedulerParameters",
	 TYPE(rpc_domain_number_args), TYPE(rpc_parameters), false},
	{RPC_CONNECT_GET_HOSTNAME, "virConnectGetHostname", NONE, TYPE(rpc_text), false},
	{RPC_CONNECT_SUPPORTS_FEATURE, "virConnectSupportsFeature", TYPE(rpc_number),
	 TYPE(rpc_number), false},
	{RPC_AUTH_LIST, "virConnectAuthList", NONE, TYPE(rpc_auth_types), false},
	{RPC_NUM_OF_STORAGE_POOLS, "virConnectNumOfStoragePools", NONE, TYPE(rpc_number), false},
	{RPC_LIST_STORAGE_POOLS, "virConnectListStoragePools", TYPE(rpc_number), TYPE(rpc_names),
	 false},
	{RPC_NUM_OF_DEFINED_STORAGE_POOLS, "virConnectNumOfDefinedStoragePools", NONE,
	 TYPE(rpc_number), false},
	{RPC_LIST_DEFINED_STORAGE_POOLS, "virConnectListDefinedStoragePools", TYPE(rpc_number),
	 TYPE(rpc_names), false},
	{RPC_STORAGE_POOL_LOOKUP_BY_NAME, "virStoragePoolLookupByName", TYPE(rpc_text),
	 TYPE(rpc_uuid_object), false},
	{RPC_NODE_GET_CELLS_FREE_MEMORY, "virNodeGetCellsFreeMemory", TYPE(rpc_cells_args),
	 TYPE(rpc_cells), false},
	{RPC_NODE_GET_FREE_MEMORY, "virNodeGetFreeMemory", NONE, TYPE(rpc_long), false},
	{RPC_CONNECT_GET_URI, "virConnectGetURI", NONE, TYPE(rpc_text), false},
	{RPC_NODE_NUM_OF_DEVICES, "virNodeNumOfDevices", TYPE(rpc_device_count_args),
	 TYPE(rpc_number), false},
	{RPC_NODE_LIST_DEVICES, "virNodeListDevices", TYPE(rpc_device_list_args), TYPE(rpc_names),
	 false},
	{RPC_NODE_DEVICE_LOOKUP_BY_NAME, "virNodeDeviceLookupByName", TYPE(rpc_name),
	 TYPE(rpc_name), false},
	{RPC_NODE_DEVICE_GET_XML_DESC, "virNodeDeviceGetXMLDesc", TYPE(rpc_name_flags),
	 TYPE(rpc_text), false},
	{RPC_NODE_DEVICE_GET_PARENT, "virNodeDeviceGetParent", TYPE(rpc_name),
	 TYPE(rpc_optional_text), false},
	{RPC_NODE_DEVICE_NUM_OF_CAPS, "virNodeDeviceNumOfCaps", TYPE(rpc_name), TYPE(rpc_number),
	 false},
	{RPC_NODE_DEVICE_LIST_CAPS, "virNodeDeviceListCaps", TYPE(rpc_name_max), TYPE(rpc_names),
	 false},
	{RPC_NODE_DEVICE_DETTACH, "virNodeDeviceDettach", TYPE(rpc_name), NONE, true},
	{RPC_NODE_DEVICE_RE_ATTACH, "virNodeDeviceReAttach", TYPE(rpc_name), NONE, true},
	{RPC_NODE_DEVICE_RESET, "virNodeDeviceReset", TYPE(rpc_name), NONE, true},
	{RPC_DOMAIN_GET_SECURITY_LABEL, "virDomainGetSecurityLabel", TYPE(rpc_domain_args),
	 TYPE(rpc_security_label), false},
	{RPC_NODE_GET_SECURITY_MODEL, "virNodeGetSecurityModel", NONE, TYPE(rpc_security_model),
	 false},
	{RPC_NUM_OF_INTERFACES, "virConnectNumOfInterfaces", NONE, TYPE(rpc_number), false},
	{RPC_LIST_INTERFACES, "virConnectListInterfaces", TYPE(rpc_number), TYPE(rpc_names), false},
	{RPC_DOMAIN_XML_TO_NATIVE, "virConnectDomainXMLToNative", TYPE(rpc_to_native_args),
	 TYPE(rpc_text), true},
	{RPC_NUM_OF_DEFINED_INTERFACES, "virConnectNumOfDefinedInterfaces", NONE, TYPE(rpc_number),
	 false},
	{RPC_LIST_DEFINED_INTERFACES, "virConnectListDefinedInterfaces", TYPE(rpc_number),
	 TYPE(rpc_names), false},
	{RPC_NUM_OF_SECRETS, "virConnectNumOfSecrets", NONE, TYPE(rpc_number), false},
	{RPC_LIST_SECRETS, "virConnectListSecrets", TYPE(rpc_number), TYPE(rpc_names), false},
	{RPC_CONNECT_IS_SECURE, "virConnectIsSecure", NONE, TYPE(rpc_number), false},
	{RPC_DOMAIN_IS_ACTIVE, "virDomainIsActive", TYPE(rpc_domain_args), TYPE(rpc_number), false},
	{RPC_DOMAIN_IS_PERSISTENT, "virDomainIsPersistent", TYPE(rpc_domain_args), TYPE(rpc_number),
	 false},
	{RPC_CONNECT_GET_LIB_VERSION, "virConnectGetLibVersion", NONE, TYPE(rpc_long), false},
	{RPC_DOMAIN_MEMORY_STATS, "virDomainMemoryStats", TYPE(rpc_memory_stats_args),
	 TYPE(rpc_memory_stats), false},
	{RPC_DOMAIN_ATTACH_DEVICE_FLAGS, "virDomainAttachDeviceFlags",
	 TYPE(rpc_domain_text_flags_args), NONE, true},
	{RPC_DOMAIN_DETACH_DEVICE_FLAGS, "virDomainDetachDeviceFlags",
	 TYPE(rpc_domain_text_flags_args), NONE, true},
	{RPC_DOMAIN_GET_JOB_INFO, "virDomainGetJobInfo", TYPE(rpc_domain_args), TYPE(rpc_job_info),
	 false},
	{RPC_NUM_OF_NWFILTERS, "virConnectNumOfNWFilters", NONE, TYPE(rpc_number), false},
	{RPC_LIST_NWFILTERS, "virConnectListNWFilters", TYPE(rpc_number), TYPE(rpc_names), false},
	{RPC_DOMAIN_MANAGED_SAVE, "virDomainManagedSave", TYPE(rpc_domain_flags_args), NONE, true},
	{RPC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, "virDomainHasManagedSaveImage",
	 TYPE(rpc_domain_flags_args), TYPE(rpc_number), false},
	{RPC_DOMAIN_MANAGED_SAVE_REMOVE, "virDomainManagedSaveRemove", TYPE(rpc_domain_flags_args),
	 NONE, true},
	{RPC_DOMAIN_SNAPSHOT_NUM, "virDomainSnapshotNum", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_number), false},
	{RPC_DOMAIN_CREATE_WITH_FLAGS, "virDomainCreateWithFlags", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_domain), true},
	{RPC_DOMAIN_GET_VCPUS_FLAGS, "virDomainGetVcpusFlags", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_number), false},
	{RPC_DOMAIN_OPEN_CONSOLE, "virDomainOpenConsole", TYPE(rpc_domain_console_args), NONE,
	 true},
	{RPC_DOMAIN_IS_UPDATED, "virDomainIsUpdated", TYPE(rpc_domain_args), TYPE(rpc_number),
	 false},
	{RPC_CONNECT_GET_SYSINFO, "virConnectGetSysinfo", TYPE(rpc_flags), TYPE(rpc_text), false},
	{RPC_DOMAIN_GET_STATE, "virDomainGetState", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_domain_state), false},
	{RPC_NODE_GET_CPU_STATS, "virNodeGetCPUStats", TYPE(rpc_statistics_args),
	 TYPE(rpc_statistics), false},
	{RPC_NODE_GET_MEMORY_STATS, "virNodeGetMemoryStats", TYPE(rpc_statistics_args),
	 TYPE(rpc_statistics), false},
	{RPC_DOMAIN_GET_CONTROL_INFO, "virDomainGetControlInfo", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_domain_control), false},
	{RPC_DOMAIN_GET_VCPU_PIN_INFO, "virDomainGetVcpuPinInfo", TYPE(rpc_vcpu_pins_args),
	 TYPE(rpc_vcpu_pins), false},
	{RPC_DOMAIN_UNDEFINE_FLAGS, "virDomainUndefineFlags", TYPE(rpc_domain_flags_args), NONE,
	 true},
	{RPC_DOMAIN_SAVE_FLAGS, "virDomainSaveFlags", TYPE(rpc_domain_save_args), NONE, true},
	{RPC_DOMAIN_DESTROY_FLAGS, "virDomainDestroyFlags", TYPE(rpc_domain_flags_args), NONE,
	 true},
	{RPC_DOMAIN_RESET, "virDomainReset", TYPE(rpc_domain_flags_args), NONE, true},
	{RPC_DOMAIN_SHUTDOWN_FLAGS, "virDomainShutdownFlags", TYPE(rpc_domain_flags_args), NONE,
	 true},
	{RPC_LIST_ALL_DOMAINS, "virConnectListAllDomains", TYPE(rpc_list_args),
	 TYPE(rpc_domain_list), false},
	{RPC_DOMAIN_LIST_ALL_SNAPSHOTS, "virDomainListAllSnapshots", TYPE(rpc_domain_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_DOMAIN_GET_SECURITY_LABEL_LIST, "virDomainGetSecurityLabelList", TYPE(rpc_domain_args),
	 TYPE(rpc_security_labels), false},
	{RPC_LIST_ALL_STORAGE_POOLS, "virConnectListAllStoragePools", TYPE(rpc_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_LIST_ALL_NETWORKS, "virConnectListAllNetworks", TYPE(rpc_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_LIST_ALL_INTERFACES, "virConnectListAllInterfaces", TYPE(rpc_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_LIST_ALL_NODE_DEVICES, "virConnectListAllNodeDevices", TYPE(rpc_list_args),
	 TYPE(rpc_device_list), false},
	{RPC_LIST_ALL_NWFILTERS, "virConnectListAllNWFilters", TYPE(rpc_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_LIST_ALL_SECRETS, "virConnectListAllSecrets", TYPE(rpc_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_NODE_GET_CPU_MAP, "virNodeGetCPUMap", TYPE(rpc_cpu_map_args), TYPE(rpc_cpu_map),
	 false},
	{RPC_DOMAIN_GET_JOB_STATS, "virDomainGetJobStats", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_job_stats), false},
	{RPC_NODE_DEVICE_DETACH_FLAGS, "virNodeDeviceDetachFlags", TYPE(rpc_detach_args), NONE,
	 true},
	{RPC_DOMAIN_MIGRATE_BEGIN3_PARAMS, "virDomainMigrateBegin3Params",
	 TYPE(rpc_migrate_begin_args), TYPE(rpc_migrate_begin), true},
	{RPC_NETWORK_EVENT_REGISTER, "virConnectNetworkEventRegisterAny",
	 TYPE(rpc_object_event_args), TYPE(rpc_number), false},
	{RPC_NETWORK_EVENT_DEREGISTER, "virConnectNetworkEventDeregisterAny", TYPE(rpc_number),
	 NONE, false},
	{RPC_DOMAIN_EVENT_REGISTER, "virConnectDomainEventRegisterAny", TYPE(rpc_domain_event_args),
	 TYPE(rpc_number), false},
	{RPC_DOMAIN_EVENT_DEREGISTER, "virConnectDomainEventDeregisterAny", TYPE(rpc_number), NONE,
	 false},
	{RPC_CONNECT_GET_DOMAIN_CAPABILITIES, "virConnectGetDomainCapabilities",
	 TYPE(rpc_domain_capabilities_args), TYPE(rpc_text), false},
	{RPC_GET_ALL_DOMAIN_STATS, "virConnectGetAllDomainStats", TYPE(rpc_all_domain_stats_args),
	 TYPE(rpc_all_domain_stats), false},
	{RPC_DOMAIN_DEFINE_XML_FLAGS, "virDomainDefineXMLFlags", TYPE(rpc_text_flags),
	 TYPE(rpc_domain), true},
	{RPC_REGISTER_CLOSE_CALLBACK, "virConnectRegisterCloseCallback", NONE, NONE, false},
	{RPC_UNREGISTER_CLOSE_CALLBACK, "virConnectUnregisterCloseCallback", NONE, NONE, false},
	{RPC_STORAGE_POOL_EVENT_REGISTER, "virConnectStoragePoolEventRegisterAny",
	 TYPE(rpc_object_event_args), TYPE(rpc_number), false},
	{RPC_STORAGE_POOL_EVENT_DEREGISTER, "virConnectStoragePoolEventDeregisterAny",
	 TYPE(rpc_number), NONE, false},
	{RPC_NODE_DEVICE_EVENT_REGISTER, "virConnectNodeDeviceEventRegisterAny",
	 TYPE(rpc_device_event_args), TYPE(rpc_number), false},
	{RPC_NODE_DEVICE_EVENT_DEREGISTER, "virConnectNodeDeviceEventDeregisterAny",
	 TYPE(rpc_number), NONE, false},
	{RPC_SECRET_EVENT_REGISTER, "virConnectSecretEventRegisterAny", TYPE(rpc_secret_event_args),
	 TYPE(rpc_number), false},
	{RPC_SECRET_EVENT_DEREGISTER, "virConnectSecretEventDeregisterAny", TYPE(rpc_number), NONE,
	 false},
	{RPC_DOMAIN_DETACH_DEVICE_ALIAS, "virDomainDetachDeviceAlias",
	 TYPE(rpc_domain_text_flags_args), NONE, true},
	{RPC_LIST_ALL_NWFILTER_BINDINGS, "virConnectListAllNWFilterBindings", TYPE(rpc_list_args),
	 TYPE(rpc_nothing_listed), false},
	{RPC_DOMAIN_GET_MESSAGES, "virDomainGetMessages", TYPE(rpc_domain_flags_args),
	 TYPE(rpc_domain_messages), false},
	{RPC_NODE_DEVICE_GET_AUTOSTART, "virNodeDeviceGetAutostart", TYPE(rpc_name),
	 TYPE(rpc_number), false},
	{RPC_NODE_DEVICE_IS_PERSISTENT, "virNodeDeviceIsPersistent", TYPE(rpc_name),
	 TYPE(rpc_number), false},
	{RPC_NODE_DEVICE_IS_ACTIVE, "virNodeDeviceIsActive", TYPE(rpc_name), TYPE(rpc_number),
	 false},
	{RPC_DOMAIN_GET_AUTOSTART_ONCE, "virDomainGetAutostartOnce", TYPE(rpc_domain_args),
	 TYPE(rpc_number), false},
};

#define COUNT (sizeof(procedures) / sizeof(procedures[0]))

static int compare_number(const void *key, const void *element)
{
	int32_t number = *(const int32_t *)key;
	const struct rpc_procedure *procedure = element;

	return number < procedure->number ? -1 : number > procedure->number;
}

const struct rpc_procedure *rpc_procedure_find(int32_t number)
{
	return bsearch(&number, procedures, COUNT, sizeof(procedures[0]), compare_number);
}

const struct rpc_procedure *rpc_procedure_at(size_t index)
{
	return index < COUNT ? &procedures[index] : NULL;
}

int rpc_decode(xdrproc_t type, size_t struct_size, const void *bytes, size_t size, void **ret_args)
{
	void *args;
	XDR xdr;

	if (!type) {
		if (size)
			return -EBADMSG;
		*ret_args = NULL;
		return 0;
	}
	args = calloc(1, struct_size);
	if (!args)
		return -ENOMEM;
	xdrmem_create(&xdr, (char *)(uintptr_t)bytes, (u_int)size, XDR_DECODE);
	/* a string with a NUL in it has lost what follows, so it is shorter now */
	if (!type(&xdr, args) || xdr_getpos(&xdr) != size || xdr_sizeof(type, args) != size) {
		rpc_free(type, args);
		return -EBADMSG;
	}
	*ret_args = args;
	return 0;
}

void rpc_free(xdrproc_t type, void *data)
{
	if (!data)
		return;
	if (type)
		xdr_free(type, data);
	free(data);
}
