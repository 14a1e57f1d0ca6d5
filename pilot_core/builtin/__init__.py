"""The adapters in the box: catalogue files, and catalogue documents over HTTP."""
