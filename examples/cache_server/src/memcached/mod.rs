//! To come: memcached.
