-- 0002: what else a cgroup path tells. Rows of before keep what was read from their paths then.

ALTER TABLE unit ADD COLUMN user_unit TEXT; -- unit of the user's own manager, below user@UID.service
ALTER TABLE unit ADD COLUMN runtime TEXT;   -- container engine: docker podman containerd cri-o lxc ...
ALTER TABLE unit ADD COLUMN pod TEXT;       -- Kubernetes pod uid, podman pod id
