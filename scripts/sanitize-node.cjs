// Loaded first (--require) by every Node that runs with a sanitizer: other programs that it starts are to be ordinary, and
// other Nodes like itself.
process.execPath = process.env.PINTAIL_SANITIZED_NODE
delete process.env.LD_PRELOAD
