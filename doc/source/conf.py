"""How the documentation is built."""

import warnings

# The libraries whose options are shown import eventlet, which complains.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

extensions = [
    'openstackdocstheme',
    'sphinx.ext.autodoc',
    'oslo_config.sphinxext',
    'cliff.sphinxext',
]

project = 'kvm_balancer'
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

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autoprogram_cliff_application = 'kvm-balancer'
# What every command has.
autoprogram_cliff_ignored = ['--help', '-h']
