"""kvm_balancer keeps a fleet of KVM hosts balanced by live migration."""
