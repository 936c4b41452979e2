//! Where segments lie: the one door to `object_store` of this room.
//!
//! A put is a create: the name is taken by the first that comes, whole or not at all. In a local folder that is a file
//! written beside its name, made durable (`with_fsync`, its folder too), and linked to it; in S3 it is a conditional put.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use runtime::errors::chain;
use tokio::runtime::Runtime;

use super::errors::ArchiveError;
use super::name::{SegmentName, VERSION};
use super::segment::FILE_BYTES_MAX;

/// Segments, by name. Calls block.
pub trait Shelf: Send + Sync {
    /// Everything that lies there.
    ///
    /// # Errors
    /// [`ArchiveError::Store`].
    fn list(&self) -> Result<Listing, ArchiveError>;

    /// The segments that lie in the folder of this one.
    ///
    /// # Errors
    /// [`ArchiveError::Store`].
    fn beside(&self, name: &SegmentName) -> Result<Vec<SegmentName>, ArchiveError>;

    /// The bytes of a segment.
    ///
    /// # Errors
    /// [`ArchiveError::Store`]; [`ArchiveError::Altered`] of a file that is larger than any segment, which is not read.
    fn read(&self, name: &SegmentName) -> Result<Bytes, ArchiveError>;

    /// Puts a segment where none is. Once it returns, the segment outlives a failure of power.
    ///
    /// # Errors
    /// [`ArchiveError::Store`]; nobody can say then whether it lies there.
    fn create(&self, name: &SegmentName, bytes: Vec<u8>) -> Result<Created, ArchiveError>;
}

/// What lies on a shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Segments, in the order of topic, partition and offsets.
    pub segments: Vec<SegmentName>,
    /// Paths that are no segment's.
    pub strays: Vec<String>,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It lies there.
    New,
    /// One of that name lay there before, and was left as it is.
    Taken,
}

/// Segments in an object store.
pub struct StoredShelf {
    store: Arc<dyn ObjectStore>,
    /// What waits for the store. The archiver has a thread of its own to wait on.
    runtime: Runtime,
}

// === impl StoredShelf ===

impl StoredShelf {
    /// Segments in a local folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] when the folder cannot be had.
    pub fn in_folder(folder: &Path) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(folder).map_err(|error| fails(&folder.display(), &error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| fails(&folder.display(), &error))?;
        Self::new(Arc::new(store.with_fsync(true)))
    }

    /// Segments in a local folder that is left as it is; one that does not exist holds none.
    ///
    /// # Errors
    /// As [`Self::in_folder`].
    pub fn read_only(folder: &Path) -> Result<Self, ArchiveError> {
        if folder.exists() { Self::in_folder(folder) } else { Self::new(Arc::new(InMemory::new())) }
    }

    /// Segments in any object store.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] when nothing can be waited for.
    pub fn new(store: Arc<dyn ObjectStore>) -> Result<Self, ArchiveError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| fails(&"the archive", &error))?;
        Ok(Self { store, runtime })
    }

    fn paths(&self, prefix: &str) -> Result<Vec<String>, ArchiveError> {
        let objects = self.store.list(Some(&ObjectPath::from(prefix))).map_ok(|object| object.location.to_string());
        self.runtime.block_on(objects.try_collect()).map_err(|error| fails(&prefix, &error))
    }
}

impl Shelf for StoredShelf {
    fn list(&self) -> Result<Listing, ArchiveError> {
        let mut listing = Listing::default();
        for path in self.paths(VERSION)? {
            match SegmentName::parse(&path) {
                Some(name) => listing.segments.push(name),
                None => listing.strays.push(path),
            }
        }
        listing.segments.sort();
        listing.strays.sort();
        Ok(listing)
    }

    fn beside(&self, name: &SegmentName) -> Result<Vec<SegmentName>, ArchiveError> {
        Ok(self.paths(&name.folder())?.iter().filter_map(|path| SegmentName::parse(path)).collect())
    }

    fn read(&self, name: &SegmentName) -> Result<Bytes, ArchiveError> {
        let path = ObjectPath::from(name.to_string());
        let found = self.runtime.block_on(self.store.get(&path)).map_err(|error| fails(name, &error))?;
        let size = found.meta.size;
        if size > FILE_BYTES_MAX {
            let reason = format!("it has {size} bytes; a segment has {FILE_BYTES_MAX} at most");
            return Err(ArchiveError::Altered { name: name.to_string(), reason });
        }
        self.runtime.block_on(found.bytes()).map_err(|error| fails(name, &error))
    }

    fn create(&self, name: &SegmentName, bytes: Vec<u8>) -> Result<Created, ArchiveError> {
        let path = ObjectPath::from(name.to_string());
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.runtime.block_on(self.store.put_opts(&path, bytes.into(), create)) {
            Ok(_) => Ok(Created::New),
            Err(Error::AlreadyExists { .. }) => Ok(Created::Taken),
            Err(error) => Err(fails(name, &error)),
        }
    }
}

fn fails(what: &dyn std::fmt::Display, error: &dyn std::error::Error) -> ArchiveError {
    ArchiveError::Store { reason: format!("{what}: {}", chain(error)) }
}
