"""A cloud as Nova and Placement know it: what no hypervisor tells."""
