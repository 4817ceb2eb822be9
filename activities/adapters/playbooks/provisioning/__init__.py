"""Provisioning of servers: detached runs of playbooks, one for each step."""
