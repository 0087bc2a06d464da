"""How the release notes are built."""

extensions = ['openstackdocstheme', 'reno.sphinxext']

project = 'kvm_balancer Release Notes'
copyright = 'kvm_balancer developers'
author = 'kvm_balancer developers'

root_doc = 'index'
exclude_patterns = []
pygments_style = 'native'

html_theme = 'openstackdocs'
html_static_path = ['_static']

openstackdocs_repo_name = ''
openstackdocs_auto_name = False
openstackdocs_auto_version = False
